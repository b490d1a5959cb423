import { describe, expect, it } from "vitest";
import { memberName, vmName } from "../../mesh/index.ts";
import { fakeRollout, fakeView } from "../api/testing/fake-agent.ts";
import type { AppView, RolloutView, StepView, VmView } from "../deploy/app-view.ts";
import { describeEnd, Narrator } from "./narrator.ts";

function vm(name: string, changes: Partial<VmView> = {}): VmView {
  return {
    vm: vmName(name),
    app: fakeView().app,
    release: 2,
    host: memberName("host-2"),
    phase: "starting",
    state: "running",
    health: "unknown",
    address: "127.0.0.1:20104",
    reason: null,
    restarts: 0,
    ...changes,
  };
}

function step(changes: Partial<StepView>): StepView {
  return {
    number: 1,
    kind: "start",
    vms: [vmName("hello-v2-1")],
    forMs: 0,
    acks: null,
    waitingFor: [],
    ...changes,
  };
}

const old = vm("hello-v1-1", { release: 1, host: memberName("host-1"), phase: "serving", health: "healthy" });
const started = {
  number: 1,
  kind: "start",
  vms: [vmName("hello-v2-1")],
  waitedMs: 212,
  outcome: "healthy after 210 ms",
} as const;
const served = {
  number: 2,
  kind: "serve",
  vms: [vmName("hello-v2-1")],
  waitedMs: 31,
  outcome: "acks 2/2, slowest proxy-2 14 ms",
} as const;

function view(rollout: Partial<RolloutView>, vms: readonly VmView[]): AppView {
  return fakeView({ rollout: fakeRollout(rollout), vms });
}

/** The views in order, one every 10 ms, as lines. */
function narrate(views: readonly AppView[]): readonly string[] {
  const narrator = new Narrator("hello-v2");
  return views.flatMap((each, index) => narrator.step(each, 0, index * 10)).map(({ text }) => text);
}

describe("Narrator", () => {
  it("tells how a canary went: the split that is baked, what was counted, and that the split is over", () => {
    const vms = [vmName("hello-v2-1")];
    const weights = [
      { release: 1, weight: 95 },
      { release: 2, weight: 5 },
    ];
    const history = [
      { number: 3, kind: "weigh", vms: [], weights, waitedMs: 20, outcome: "acks 2/2" },
      { number: 4, kind: "bake", vms, waitedMs: 5_000, outcome: "v2 0 of 57 failed, v1 1 of 1093 failed" },
      { number: 5, kind: "weigh", vms: [], waitedMs: 20, outcome: "acks 2/2" },
    ] as const;
    expect(narrate([view({ history, state: "running" }, [])])).toEqual([
      "step 3 weigh v1=95 v2=5: acks 2/2 (20 ms)",
      "step 4 bake hello-v2-1: v2 0 of 57 failed, v1 1 of 1093 failed (5.0 s)",
      "step 5 weigh each VM alike: acks 2/2 (20 ms)",
    ]);
  });

  it("says once where the new release is reached, and why nothing can be committed", () => {
    const stalled = "cannot commit: no majority of the voters answers: host-2 missing";
    const previewed = { ...view({ step: step({}) }, [old]), previews: ["preview.hello.localhost"] };
    const views = [previewed, previewed, view({ step: step({}), stalled }, [old]), view({ stalled }, [old])];
    expect(narrate(views)).toEqual([
      "the new release is reached at preview.hello.localhost",
      `hello-v2: ${stalled}`,
    ]);
  });

  it("names at the end what is kept, and who has not confirmed it", () => {
    const rollout = fakeRollout({
      state: "succeeded",
      except: [memberName("proxy-2"), memberName("proxy-3")],
    });
    const kept = { release: "v1", vms: [vmName("hello-v1-1")], forMs: 60_000 };
    const excluded = [{ proxy: memberName("proxy-2"), by: "person" }] as const;
    const lines = describeEnd({ ...fakeView({ rollout, vms: [] }), kept, excluded }, 6);
    expect(lines[0]).toContain("; v1 is kept for ");
    expect(lines.at(-1)).toBe(
      "except: proxy-2, which is excluded, has not confirmed it; proxy-3 has not confirmed it",
    );
  });

  it("says once who is fenced and when that is over, and of a step and at the end who was not asked", () => {
    const host = memberName("host-3");
    const atMs = Date.UTC(2026, 10, 27, 2, 10, 3);
    const now = { ...view({ step: step({}) }, [old]), fenced: [{ host, atMs, forMs: 1_000 }] };
    const after = { number: 3, kind: "cordon", vms: [old.vm], waitedMs: 12, outcome: "acks 1/1" } as const;
    const ended = view({ history: [{ ...after, fenced: [{ host, atMs }] }] }, [old]);
    expect(narrate([now, now, ended])).toEqual([
      "host-3 is fenced: its gate is not asked, its VMs count as stopped",
      "step 3 cordon hello-v1-1: acks 1/1; host-3 was fenced at 2026-11-27T02:10:03Z, not asked (12 ms)",
      "host-3 is back: it is not fenced any more, its gate is asked",
    ]);
    const rollout = fakeRollout({ state: "succeeded", except: [host] });
    const lines = describeEnd({ ...fakeView({ rollout, vms: [] }), fenced: now.fenced }, 6);
    expect(lines.at(-1)).toBe("except: host-3, which is fenced, has not confirmed it");
  });

  it("tells a deploy as it goes, each fact once", () => {
    const healthy = vm("hello-v2-1", { health: "healthy", phase: "serving" });
    const lines = narrate([
      view({ step: step({}) }, [old, vm("hello-v2-1", { state: null, health: null })]),
      view({ step: step({}) }, [old, vm("hello-v2-1", { state: "preparing" })]),
      view({ step: step({}) }, [old, vm("hello-v2-1")]),
      view({ step: step({}) }, [old, vm("hello-v2-1")]),
      view({ step: step({ number: 2, kind: "serve" }), history: [started] }, [old, healthy]),
      view({ step: null, history: [started, served], state: "succeeded" }, [old, healthy]),
    ]);
    expect(lines).toEqual([
      "  hello-v2-1 on host-2: preparing",
      "  hello-v2-1 on host-2: running, not checked yet",
      "  hello-v2-1 on host-2: running, healthy",
      "step 1 start hello-v2-1: healthy after 210 ms (212 ms)",
      "step 2 serve hello-v2-1: acks 2/2, slowest proxy-2 14 ms (31 ms)",
    ]);
  });

  it("names whom a step waits for after a second, and says it again only when it changed or is long", () => {
    const narrator = new Narrator("hello-v2");
    const waiting = step({
      number: 2,
      kind: "serve",
      forMs: 400,
      acks: { have: 1, need: 2, slowest: { proxy: memberName("proxy-1"), ms: 9 } },
      waitingFor: [{ who: memberName("proxy-2"), what: "to acknowledge epoch 7", forMs: 400 }],
    });
    const now = view({ step: waiting }, []);
    const text =
      "step 2 serve hello-v2-1 … acks 1/2, slowest proxy-1 9 ms; waiting for proxy-2 to acknowledge epoch 7";
    const at = (ageMs: number) => narrator.step(now, ageMs, ageMs).map((told) => told.text);
    expect(at(0)).toEqual([]);
    expect(at(700)).toEqual([`${text} (1.1 s)`]);
    expect(at(950)).toEqual([]);
    expect(at(10_700)).toEqual([`${text} (11 s)`]);
  });

  it("says when it turns back, and why", () => {
    const lines = narrate([
      view({ step: step({}) }, [old]),
      view(
        { direction: "back", reason: { code: "check-failed", message: "GET /healthz: 500", lastLines: [] } },
        [old, vm("hello-v2-1", { health: "unhealthy", reason: "GET /healthz: 500" })],
      ),
    ]);
    expect(lines).toEqual([
      "  hello-v2-1 on host-2: running, unhealthy: GET /healthz: 500",
      "going back to v1: GET /healthz: 500",
    ]);
  });

  it("says that it turns back before the steps on the way back, also where it hears of both at once", () => {
    const reason = { code: "aborted", message: "a person aborted it", lastLines: [] } as const;
    const paused = {
      state: "paused",
      pause: { why: "a person paused it", atMs: 0 },
      history: [started],
    } as const;
    const back = { ...started, number: 2, kind: "stop", back: true, outcome: "gone after 9 ms" } as const;
    const turned = { direction: "back", reason, history: [started, back] } as const;
    expect(narrate([view(paused, []), view(turned, [])])).toEqual([
      "step 1 start hello-v2-1: healthy after 210 ms (212 ms)",
      "paused: a person paused it",
      "going back to v1: a person aborted it",
      "step 2 stop hello-v2-1: gone after 9 ms (212 ms)",
    ]);
    expect(narrate([view(paused, []), view({ history: [started] }, [])]).at(-1)).toBe("resumed");
  });

  it("does not say a wait again for each request that is counted", () => {
    const who = vmName("hello-v2-1");
    const counted = (requests: number) =>
      view(
        {
          step: step({
            forMs: 2_000,
            waitingFor: [{ who, what: `for 20 requests to v2, ${requests} so far`, forMs: 2_000 }],
          }),
        },
        [],
      );
    expect(narrate([counted(1), counted(2), counted(3)])).toEqual([
      "step 1 start hello-v2-1 … waiting for hello-v2-1 for 20 requests to v2, 1 so far (2.0 s)",
    ]);
  });

  it("does not say two waits again and again between which a canary goes to and fro", () => {
    const who = vmName("hello-v2-1");
    const waits = (what: string) =>
      view({ step: step({ forMs: 2_000, waitingFor: [{ who, what, forMs: 2_000 }] }) }, []);
    const [bake, chance] = [waits("to bake for 30s, as bake asks"), waits("for more requests: 4.0 % of 50")];
    expect(narrate([bake, chance, bake, waits("for more requests: 5.1 % of 60"), bake])).toEqual([
      "step 1 start hello-v2-1 … waiting for hello-v2-1 to bake for 30s, as bake asks (2.0 s)",
      "step 1 start hello-v2-1 … waiting for hello-v2-1 for more requests: 4.0 % of 50 (2.0 s)",
    ]);
  });

  it("is silent about another rollout", () => {
    expect(narrate([fakeView({ rollout: fakeRollout({ id: "hello-v3" }) }), fakeView()])).toEqual([]);
  });

  it("lets no output of a VM reach the terminal as a command", () => {
    const lines = narrate([
      view({}, [vm("hello-v2-1", { state: "exited", reason: "\u001b[2Jgone\nstep 9" })]),
    ]);
    expect(lines).toEqual(["  hello-v2-1 on host-2: exited:  [2Jgone step 9"]);
  });
});

describe("describeEnd()", () => {
  it("says what serves after a success", () => {
    const done = fakeView({
      release: "v2",
      rollout: fakeRollout({ state: "succeeded", endedAtMs: 1_640 }),
      vms: [vm("hello-v2-1", { phase: "serving", health: "healthy" })],
    });
    expect(describeEnd(done, 0)).toEqual([
      "hello-v2: succeeded after 640 ms: v2 serves on every proxy with 1 VM at hello.localhost",
    ]);
  });

  it("says that a person holds what it brought to serve", () => {
    const done = fakeView({
      release: "v2",
      rollout: fakeRollout({ state: "succeeded", endedAtMs: 1_640 }),
      vms: [vm("hello-v2-1", { phase: "serving", health: "healthy" })],
      held: { by: "person", atMs: 0, forMs: 5_000 },
    });
    expect(describeEnd(done, 0)).toEqual([
      "hello-v2: succeeded after 640 ms: v2 serves on every proxy with 1 VM at hello.localhost; its requests are held since somebody said `grapevine hold hello`: `grapevine release hello` sends them on",
    ]);
  });

  it("gives the reason, the last lines of the output and what to do after a failure", () => {
    const reason = {
      code: "start-failed",
      message: "hello-v2-1 exited with code 1",
      lastLines: ["Error: boom", "  at x"],
    };
    const failed = fakeView({ rollout: fakeRollout({ state: "rolled-back", endedAtMs: 3_000, reason }) });
    expect(describeEnd(failed, 1)).toEqual([
      "hello-v2: rolled-back after 2.0 s",
      "reason: hello-v2-1 exited with code 1",
      "the last lines of its output:",
      "  | Error: boom",
      "  |   at x",
      "next: v1 serves as before; mend the release and deploy again",
    ]);
  });

  it("says after a failure that what was gone back to sleeps", () => {
    const rollout = fakeRollout({ state: "rolled-back", endedAtMs: 3_000 });
    const failed = fakeView({ rollout, held: { by: "idle", atMs: 0, forMs: 5_000 } });
    expect(describeEnd(failed, 1).at(-1)).toBe(
      "next: v1 sleeps, and a request wakes it; mend the release and deploy again",
    );
  });

  it("sends after a time-out to those who did not answer", () => {
    const reason = { code: "wait-timeout", message: "proxy-2 did not acknowledge epoch 7", lastLines: [] };
    const failed = fakeView({
      release: null,
      rollout: fakeRollout({ state: "failed", endedAtMs: 301_000, reason }),
    });
    expect(describeEnd(failed, 3)).toEqual([
      "hello-v2: failed after 5 min",
      "reason: proxy-2 did not acknowledge epoch 7",
      "next: nothing of it serves; see who did not answer with `grapevine status hello` and `grapevine members`, then deploy again",
    ]);
  });

  it("names the exceptions of what is done but for them", () => {
    const leftovers = [
      { who: memberName("proxy-2"), what: "to drain hello-v1-1", forMs: 4_000 },
      { who: memberName("proxy-1"), what: "to drain hello-v0-1", forMs: 1, wasKept: true },
    ];
    const done = fakeView({
      leftovers,
      rollout: fakeRollout({ kind: "destroy", state: "succeeded", endedAtMs: 1_000 }),
    });
    expect(describeEnd(done, 6)).toEqual([
      "hello-v2: succeeded after 0 ms: nothing of hello runs or is routed",
      "except: proxy-2 to drain hello-v1-1 since 4.0 s",
    ]);
  });
});
