import { describe, expect, test } from "vitest";
import { appName, memberName, vmName } from "../../mesh/index.ts";
import { AckState, isUnsettled, type Reached } from "./ack-state.ts";
import { type AppRoute, type Endpoint, NOT_HELD } from "./route-table.ts";

const app = appName("hello");
const [vm, host] = [vmName("hello-v1-1"), memberName("host-1")];
const address = { host: "127.0.0.1", port: 20_001 };
const endpoint: Endpoint = {
  vm,
  app,
  release: 1,
  host,
  address,
  healthy: true,
  hostAway: false,
  isGated: false,
  drainTimeoutMs: 0,
};
const nothing = { inFlight: [], cut: [], lastDispatch: [] };

function route(epoch: number, over: Partial<AppRoute> = {}): AppRoute {
  return {
    app,
    epoch,
    hostnames: [],
    endpoints: [endpoint],
    clients: null,
    standby: [],
    weights: null,
    bake: null,
    hold: NOT_HELD,
    preview: null,
    unaddressed: [],
    missing: [],
    awaited: [vm],
    lost: [],
    ...over,
  };
}

function settle(acks: AckState, at: AppRoute, reached: Reached, nowMs = 0): ReturnType<AckState["ack"]> {
  acks.settle(at, { reached: () => reached, nowMs });
  return acks.ack(app, nothing);
}

const yes: Reached = { kind: "yes" };
const notYet: Reached = { kind: "not-yet" };

describe("AckState", () => {
  test("has applied a record in force, and verified it once its endpoints were reached", () => {
    const acks = new AckState();
    acks.seen(app, 3, 100);
    const applied = settle(acks, route(3), notYet, 104);
    expect(applied).toEqual({ app, applied: 3, verified: 0, nack: null, applyMs: 4, ...nothing });
    expect(isUnsettled(applied)).toBe(true);
    const verified = settle(acks, route(3), yes, 200);
    expect(verified).toMatchObject({ applied: 3, verified: 3, applyMs: 4 });
    expect(isUnsettled(verified)).toBe(false);
  });

  test("keeps the epoch before applied while the next one misses what it requires", () => {
    const acks = new AckState();
    settle(acks, route(3), yes);
    acks.seen(app, 4, 10);
    const waiting = settle(acks, route(4, { missing: ["waits for x"] }), yes, 11);
    expect(waiting).toMatchObject({ applied: 3, verified: 3, nack: { epoch: 4, reason: "waits for x" } });
    expect(settle(acks, route(4), yes, 30)).toMatchObject({
      applied: 4,
      verified: 4,
      nack: null,
      applyMs: 20,
    });
  });

  test.each([
    ["that its host lost", { lost: ["hello-v1-1 exited on host-1"] }, yes, "hello-v1-1 exited on host-1"],
    ["without an address", { unaddressed: [vm] }, yes, "no address of hello-v1-1 is known yet"],
    [
      "that cannot be dialled",
      {},
      { kind: "no", reason: "timed out" },
      "cannot dial hello-v1-1 at 127.0.0.1:20001: timed out",
    ],
  ] as const)("says why it cannot verify an endpoint %s", (_name, over, reached, reason) => {
    const acks = new AckState();
    expect(settle(acks, route(5, over), reached)).toMatchObject({
      applied: 5,
      verified: 0,
      nack: { epoch: 5, reason },
    });
  });

  test("is verified although a VM that is not awaited cannot be dialled, and has no address", () => {
    const old = route(6, { awaited: [], unaddressed: [vmName("hello-v1-2")] });
    const settled = settle(new AckState(), old, { kind: "no", reason: "refused" });
    expect(settled).toMatchObject({ applied: 6, verified: 6, nack: null });
  });

  test("stays verified when an endpoint that was reached fails later", () => {
    const acks = new AckState();
    settle(acks, route(5), yes);
    const later = settle(acks, route(5, { lost: ["hello-v1-1 exited on host-1"] }), yes);
    expect(later).toMatchObject({ verified: 5, nack: null });
  });

  test("says when an answer changed, and when it did not", () => {
    const acks = new AckState();
    expect(acks.settle(route(1), { reached: () => notYet, nowMs: 0 })).toBe(true);
    expect(acks.settle(route(1), { reached: () => notYet, nowMs: 9 })).toBe(false);
  });
});
