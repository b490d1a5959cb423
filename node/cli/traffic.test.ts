// Traffic by hand as people run it: a process of its own, against an agent's API in this one.

import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { memberName, vmName } from "../../mesh/index.ts";
import { type FakeDeploys, fakeRollout, fakeView } from "../api/testing/fake-agent.ts";
import { Commands } from "./testing/commands.ts";

// Processes start slowly on a busy machine; nothing here waits for time to pass.
vi.setConfig({ testTimeout: 60_000 });

let commands: Commands;
let deploys: FakeDeploys;
const start = (...args: string[]) => commands.run(...args);

beforeAll(async () => {
  commands = await Commands.start();
  ({ deploys } = commands);
});
afterAll(() => commands.close());
beforeEach(() => commands.acceptAll());

describe("grapevine traffic, rollback and pause", () => {
  const ofSplit = [
    { release: 1, weight: 90 },
    { release: 2, weight: 10 },
  ];
  const weigh = { kind: "weigh", vms: [], weights: ofSplit, waitedMs: 43 } as const;
  const outcome = "acks 2/2, slowest proxy-2 43 ms";

  it("wait for the split's own step of a deploy that waits for approval, say how long it took, and leave the deploy to go on", async () => {
    deploys.answer = { ...deploys.answer, step: 4 } as typeof deploys.answer;
    const before = { number: 3, kind: "approve", vms: [], waitedMs: 9, outcome: "a person asked" } as const;
    const history = [before, { ...weigh, number: 4, outcome }];
    deploys.show(fakeView({ weights: { v1: 90, v2: 10 }, rollout: fakeRollout({ history }) }));
    const { code, stdout } = await start("traffic", "set", "hello", "v2=10", "v1=90").ended;
    expect(stdout).toBe(
      "hello-v2: submitted\nstep 4 weigh v1=90 v2=10: acks 2/2, slowest proxy-2 43 ms (43 ms)\n" +
        "hello-v2: every proxy sends v1=90 v2=10 after 43 ms\n" +
        "next: `grapevine promote hello`, `grapevine abort hello`, or another split\n",
    );
    expect(code).toBe(0);
    expect(deploys.asked.at(-1)).toEqual({ app: "hello", weights: ofSplit.toReversed() });
  });

  it("do not say that every proxy has a split whose place another one took", async () => {
    deploys.answer = { ...deploys.answer, step: 4 } as typeof deploys.answer;
    const other = { ...weigh, number: 5, outcome: "acks 2/2" } as const;
    const history = [{ ...weigh, number: 4, outcome: "a person asked for v1=80 v2=20" }, other];
    deploys.show(fakeView({ weights: { v1: 80, v2: 20 }, rollout: fakeRollout({ history }) }));
    const { code, stdout } = await start("traffic", "set", "hello", "v2=10", "v1=90").ended;
    expect(stdout).toContain(
      "hello-v2: a person asked for v1=80 v2=20\nnext: whether every proxy had this split",
    );
    expect(stdout).not.toContain("every proxy sends");
    expect(code).toBe(3);
  });

  it.each([
    [0, "succeeded", null, "every proxy sends v1=100; v2 is kept for 60 s"],
    [3, "failed", { code: "wait-timeout", message: "proxy-2 is silent", lastLines: [] }, "the split stands"],
  ] as const)("return %d for a rollback by one step that %s", async (expected, state, reason, said) => {
    const note = "the VMs of v1 are up: one step sends all requests to them";
    deploys.answer = { ...deploys.answer, rollout: "hello-v1-e9", step: 1, note } as typeof deploys.answer;
    const shown = {
      id: "hello-v1-e9",
      kind: "weigh",
      from: 2,
      to: 1,
      state,
      reason,
      endedAtMs: 1_043,
    } as const;
    const history = [{ ...weigh, number: 1, outcome: "acks 2/2" }];
    const kept = { release: "v2", vms: [], forMs: 60_000 };
    deploys.show(fakeView({ weights: { v1: 100 }, kept, rollout: fakeRollout({ ...shown, history }) }));
    const { code, stdout } = await start("rollback", "hello").ended;
    expect(stdout).toContain(`${note}\nhello-v1-e9: submitted\n`);
    expect(stdout).toContain(said);
    expect(code).toBe(expected);
    expect(deploys.asked.at(-1)).toEqual({ app: "hello", to: null });
  });

  it("say that a deploy stands still, once it does", async () => {
    const { code, stdout } = await start("pause", "hello").ended;
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: "hello-v2: paused; `grapevine resume hello` goes on, `grapevine abort hello` goes back\n",
    });
  });

  it("show who gets what, and who could", async () => {
    const vm = (name: string, release: number, phase: "serving" | "cordoned" | "starting") =>
      ({
        vm: vmName(name),
        app: fakeView().app,
        release,
        host: memberName("host-1"),
        phase,
        state: "running",
        health: "healthy",
        address: null,
        reason: null,
        restarts: 0,
      }) as const;
    const vms = [
      vm("hello-v1-1", 1, "cordoned"),
      vm("hello-v2-1", 2, "serving"),
      vm("hello-v3-1", 3, "starting"),
    ];
    const kept = { release: "v1", vms: [], forMs: 60_000 };
    deploys.show(fakeView({ weights: { v2: 100 }, byWeight: false, vms, kept }));
    const { code, stdout } = await start("traffic", "get", "hello").ended;
    expect(code).toBe(0);
    expect(stdout).toBe(
      "hello: v2=100 (each VM counts alike)\n" +
        "RELEASE  WEIGHT  VMS          PHASE\n" +
        "v2       100     1/1 healthy  serving\n" +
        "v1       0       1/1 healthy  kept for 60 s\n",
    );
    const json = JSON.parse((await start("traffic", "get", "hello", "--json").ended).stdout);
    expect(json).toMatchObject({ app: "hello", weights: { v2: 100 }, byWeight: false });
    expect(json.releases).toHaveLength(2);
  });
});
