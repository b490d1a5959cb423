import { expect, it } from "vitest";
import { type AppName, type CommittedApp, NoMajorityError, type Register } from "../../mesh/index.ts";
import { Submissions } from "./submissions.ts";
import { specOf } from "./testing/specs.ts";

it("without a majority everybody who asks at once hears it after one read", async () => {
  const reads: { readonly app: AppName; readonly fail: (error: Error) => void }[] = [];
  const register: Pick<Register, "read"> = {
    read: (app) => new Promise<CommittedApp | null>((_resolve, fail) => reads.push({ app, fail })),
  };
  const submissions = new Submissions({
    register: register as Register,
    learn: () => undefined,
    context: () => {
      throw new Error("nothing is decided");
    },
    history: async () => [],
    signal: new AbortController().signal,
  });
  const answers = ["one", "two"].map((name) => submissions.submit(specOf(name)));
  expect(reads.map(({ app }) => app)).toEqual(["one", "two"]);
  for (const { fail } of reads) fail(new NoMajorityError([]));
  for (const answer of await Promise.all(answers)) expect(answer).toMatchObject({ code: "unavailable" });
});
