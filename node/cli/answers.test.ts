import { expect, it } from "vitest";
import { memberRowsShape } from "./answers.ts";

it("memberRowsShape takes no name that is none: names become paths of a bug report", () => {
  const row = (name: string) => ({
    ...{ name, role: "host", api: null, http: null, pid: null, state: "alive", forSeconds: 1, why: "" },
    ...{ connected: true, region: null, voter: false, incarnation: 1 },
  });
  expect(memberRowsShape.safeParse([row("host-1")]).success).toBe(true);
  for (const name of ["../../host-1", "a/b", "..", ""])
    expect(memberRowsShape.safeParse([row(name)]).success).toBe(false);
});
