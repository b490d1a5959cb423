// hold and release as people run them: a process of its own, against an agent's API in this one.

import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { HOLD_DEFAULTS, memberName } from "../../mesh/index.ts";
import { type FakeDeploys, fakeView } from "../api/testing/fake-agent.ts";
import type { AppView } from "../deploy/app-view.ts";
import type { HoldResult } from "../deploy/hold-app.ts";
import { Commands } from "./testing/commands.ts";

// Processes start slowly on a busy machine; but for the one that gives up waiting nothing here waits for time to pass.
vi.setConfig({ testTimeout: 60_000 });

let commands: Commands;
let deploys: FakeDeploys;
const start = (...args: string[]) => commands.run(...args);

beforeAll(async () => {
  commands = await Commands.start();
  ({ deploys } = commands);
});
afterAll(() => commands.close());
beforeEach(() => {
  deploys.holdAnswer = HELD;
  deploys.show(fakeView());
});

const bounds = { ...HOLD_DEFAULTS, maxAgeMs: 30_000, maxRequests: 10_000, maxBytes: 64 * 1024 * 1024 };
const HELD: HoldResult = { code: "done", epoch: 5, changed: true, by: "person", bounds };
const RELEASED: HoldResult = { ...HELD, by: null };

/** Each proxy by the epoch that it has in force. */
function proxiesAt(applied: Readonly<Record<string, number>>): AppView["proxies"] {
  return Object.entries(applied).map(([name, epoch]) => ({
    proxy: memberName(name),
    applied: epoch,
    verified: epoch,
    inFlight: 0,
    nack: null,
    current: epoch >= 5,
  }));
}

const BOUNDS_TOLD =
  "each proxy keeps one for 30s, and 10000 with 64.0 MiB of bodies at a time; what is above that gets 503; `grapevine release hello` sends them on";

describe("grapevine hold", () => {
  it("returns once the last proxy has the record in force, not before", async () => {
    deploys.show(fakeView({ proxies: proxiesAt({ "proxy-1": 5, "proxy-2": 4 }) }));
    const { ended } = start("hold", "hello");
    await deploys.whenWatched();
    deploys.show(fakeView({ proxies: proxiesAt({ "proxy-1": 5, "proxy-2": 6 }) }));
    expect(await ended).toMatchObject({
      code: 0,
      stdout: `hello: requests are held; ${BOUNDS_TOLD}\nin force on proxy-1, proxy-2\n`,
    });
  });

  it("said again says that it is so already", async () => {
    deploys.holdAnswer = { ...HELD, changed: false };
    deploys.show(fakeView({ proxies: proxiesAt({ "proxy-1": 5 }) }));
    const { code, stdout } = await start("hold", "hello").ended;
    expect([code, stdout]).toEqual([0, expect.stringContaining("requests are held already; ")]);
  });

  it("returns 3 when its time is over, and names who is behind", async () => {
    deploys.show(fakeView({ proxies: proxiesAt({ "proxy-1": 5, "proxy-2": 4 }) }));
    const { code, stdout } = await start("hold", "hello", "--wait-timeout", "1s").ended;
    expect([code, stdout]).toEqual([
      3,
      expect.stringContaining("not in force on proxy-2: no word of epoch 5"),
    ]);
  });

  it("returns 3 where no proxy is known", async () => {
    const { code, stdout } = await start("hold", "hello", "--wait-timeout", "1s").ended;
    expect([code, stdout]).toEqual([3, expect.stringContaining("no proxy is registered")]);
  });

  it.each([
    [{ "proxy-1": 5, "proxy-2": 4 }, "in force on proxy-1; nobody asked proxy-2 (exit code 6)"],
    [{ "proxy-2": 4 }, "in force on no proxy; nobody asked proxy-2 (exit code 6)"],
  ])(
    "returns 6 without waiting for a proxy that a person excluded, and names it: %o",
    async (applied, told) => {
      const excluded = [{ proxy: memberName("proxy-2"), by: "person" }] as const;
      deploys.show(fakeView({ proxies: proxiesAt(applied), excluded }));
      const { code, stdout } = await start("hold", "hello").ended;
      expect([code, stdout]).toEqual([6, expect.stringContaining(told)]);
    },
  );

  it("waits for a proxy that is excluded for its silence: it may send on all the same", async () => {
    const excluded = [{ proxy: memberName("proxy-2"), by: "silence" }] as const;
    deploys.show(fakeView({ proxies: proxiesAt({ "proxy-1": 5, "proxy-2": 4 }), excluded }));
    const { code } = await start("hold", "hello", "--wait-timeout", "1s").ended;
    expect(code).toBe(3);
  });

  it.each([
    [{ code: "unknown" }, "there is no app hello"],
    [{ code: "invalid", message: "hello has no hostname" }, "hello has no hostname"],
    [{ code: "unavailable", message: "no majority" }, "no majority"],
  ] as const)("returns 2 where nothing was changed: %o", async (answer, told) => {
    deploys.holdAnswer = answer;
    const { code, stderr } = await start("hold", "hello").ended;
    expect([code, stderr]).toEqual([2, expect.stringContaining(told)]);
  });

  it("refuses a time that is none", async () => {
    const { code, stderr } = await start("hold", "hello", "--wait-timeout", "soon").ended;
    expect([code, stderr]).toEqual([2, expect.stringContaining("--wait-timeout must be a duration")]);
  });

  it("--json: one object, with who has it in force", async () => {
    deploys.show(fakeView({ proxies: proxiesAt({ "proxy-1": 5 }) }));
    const { stdout } = await start("hold", "hello", "--json").ended;
    const force = { have: ["proxy-1"], behind: [], excluded: [] };
    const said = { app: "hello", held: true, by: "person", epoch: 5, changed: true, bounds };
    expect(JSON.parse(stdout)).toEqual({ ...said, ...force, exitCode: 0 });
  });
});

describe("grapevine release", () => {
  it.each([
    [RELEASED, "hello: requests are not held any more\n"],
    [{ ...RELEASED, changed: false }, "hello: requests are not held\n"],
    [
      { ...RELEASED, by: "rollout" },
      "hello: requests are not held by a person any more; its rollout holds them, until a VM serves\n",
    ],
    [
      { ...RELEASED, by: "idle" },
      "hello: requests are not held by a person any more; it sleeps, and a request wakes it\n",
    ],
  ] as const)("says who holds them from then on: %o", async (answer, told) => {
    deploys.holdAnswer = answer;
    deploys.show(fakeView({ proxies: proxiesAt({ "proxy-1": 5 }) }));
    const { code, stdout } = await start("release", "hello").ended;
    expect([code, stdout]).toEqual([0, `${told}in force on proxy-1\n`]);
  });
});
