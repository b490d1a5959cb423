import { describe, expect, it } from "vitest";
import { parseAppFile } from "./app-file.ts";
import { refusalsOf } from "./testing/refusals.ts";

const HEAD = 'name = "hello"\ncommand = ["node", "server.js"]\n';
const HANDOFF = '[deploy]\nstrategy = "handoff"\n';

describe("handoff keys", () => {
  it("say that an app never runs twice", () => {
    expect(parseAppFile("app.toml", `${HEAD}${HANDOFF}cutover = "sticky"\n`)).toMatchObject({
      value: { count: 1, deploy: { strategy: "handoff", cutover: "sticky" } },
    });
  });

  it.each([
    [
      `count = 2\n${HANDOFF}`,
      'app.toml:3: count: is 2, and with strategy = "handoff" two VMs never run at once: write count = 1; found 2',
    ],
    [
      `gate = "off"\n${HANDOFF}`,
      'app.toml:3: gate: is "off", and with strategy = "handoff" a gate must close the old VM before the new one is started: remove it, or write strategy = "rolling"; found "off"',
    ],
    [
      `${HANDOFF}cutover = "atomic"\n`,
      'app.toml:5: deploy.cutover: is "atomic", and with strategy = "handoff" it is so of itself: no request is sent to the old VM after the new one was started; remove it; found "atomic"',
    ],
    [
      `${HANDOFF}min_healthy_time = "5s"\n`,
      'app.toml:5: deploy.min_healthy_time: keeps requests waiting for so long with strategy = "handoff": remove it, or write strategy = "rolling"; found "5s"',
    ],
    [
      `${HANDOFF}max_surge = 2\n`,
      'app.toml:5: deploy.max_surge: is of strategy = "rolling" alone: remove it, or write strategy = "rolling"; found 2',
    ],
    [
      'exclusive = true\ngate = "off"\n',
      'app.toml:4: gate: is "off", and with exclusive = true a gate must close the old VM before the new one is started: remove it, or give exclusive = true up; found "off"',
    ],
    [
      'count = 2\n[[volumes]]\nname = "data"\npath = "data"\n',
      "app.toml:3: count: is 2, and with [[volumes]] two VMs never run at once: write count = 1; found 2",
    ],
  ])("%s is refused", (keys, message) => {
    expect(refusalsOf(HEAD + keys)).toEqual([message]);
  });
});
