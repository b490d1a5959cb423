import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { CONVERGENCE_DEADLINE_MS, CONVERGENCE_WRITES_MAX } from "../limits.ts";
import { type Audience, Convergence, type GoalView } from "./convergence.ts";
import { type OwnerId, ownerId } from "./ids.ts";

const [HOST, PROXY, OTHER] = ["host", "proxy", "other"].map(ownerId) as [OwnerId, OwnerId, OwnerId];
const BOTH: Audience = { proxies: new Set([PROXY]), stores: new Set([HOST, PROXY]) };

let meter: Convergence;
beforeEach(() => {
  meter = new Convergence();
});

const reach = (owner: OwnerId, counter: number, atMs: number) =>
  meter.reached(owner, { counter, atMs: { stores: atMs, proxies: atMs } });
const measured = ({ seconds }: GoalView) => seconds.counts.reduce((sum, count) => sum + count, 0);
const lost = (view: GoalView) => Object.values(view.lost).reduce((sum, count) => sum + count, 0);

describe("a write", () => {
  it("is measured to the last proxy's table and, apart, to the last store", () => {
    meter.wrote(1, 1_000, BOTH);
    meter.reached(PROXY, { counter: 1, atMs: { stores: 1_002, proxies: 1_004 } });
    expect(meter.view()).toMatchObject({
      proxies: { writes: 1, seconds: { sum: 0.004 } },
      stores: { seconds: { sum: 0 } },
    });
    reach(HOST, 1, 1_009);
    expect(meter.view().stores.seconds.sum).toBeCloseTo(0.009, 9);
    expect(meter.isIdle).toBe(true);
  });

  it("counts as reached with a later one, and each of them is one measurement", () => {
    for (const counter of [1, 2, 3]) meter.wrote(counter, 1_000 + counter, BOTH);
    for (const owner of [PROXY, HOST]) reach(owner, 3, 1_010);
    expect(measured(meter.view().proxies)).toBe(3);
    expect(meter.view().proxies.seconds.sum).toBeCloseTo(0.009 + 0.008 + 0.007, 9);
  });

  it("told before the one that it followed is measured all the same", () => {
    for (const counter of [1, 3, 2]) meter.wrote(counter, 1_000, BOTH);
    for (const owner of [PROXY, HOST]) for (const counter of [1, 2, 3]) reach(owner, counter, 1_001);
    expect(measured(meter.view().proxies)).toBe(3);
    expect(meter.isIdle).toBe(true);
  });

  it("that nobody has to get is no measurement", () => {
    meter.wrote(1, 0, { proxies: new Set(), stores: new Set() });
    expect(meter.isIdle).toBe(true);
    expect(meter.view()).toMatchObject({ proxies: { writes: 0 }, stores: { writes: 0 } });
  });

  it("is lost at the deadline for those goals alone that it missed, and a late answer changes nothing", () => {
    meter.wrote(1, 0, BOTH);
    reach(PROXY, 1, 5);
    meter.expire(CONVERGENCE_DEADLINE_MS - 1);
    expect([...meter.awaited(0)]).toEqual([HOST]);
    meter.expire(CONVERGENCE_DEADLINE_MS);
    reach(HOST, 1, CONVERGENCE_DEADLINE_MS + 1);
    const { proxies, stores } = meter.view();
    expect([lost(proxies), measured(proxies)]).toEqual([0, 1]);
    expect([stores.lost.deadline, measured(stores)]).toEqual([1, 0]);
  });

  it("is lost when a new start begins, and the new start's counters begin anew", () => {
    meter.wrote(7, 0, BOTH);
    reach(PROXY, 6, 1);
    meter.end("new-start");
    meter.wrote(2, 10, BOTH);
    reach(PROXY, 2, 12);
    expect(meter.view().proxies).toMatchObject({
      writes: 2,
      lost: { "new-start": 1 },
      seconds: { sum: 0.002 },
    });
  });

  it("beyond the bound pushes the oldest out, which is lost", () => {
    for (let counter = 1; counter <= CONVERGENCE_WRITES_MAX + 2; counter += 1) meter.wrote(counter, 0, BOTH);
    expect(meter.view().proxies).toMatchObject({ lost: { bound: 2 } });
  });

  it("is not waited for at who came later", () => {
    meter.wrote(1, 0, BOTH);
    reach(OTHER, 1, 1);
    expect([...meter.awaited(0)].sort()).toEqual([HOST, PROXY]);
    expect([...meter.awaited(-1)]).toEqual([]);
  });
});

it("counts each write once, as measured, lost or under way, as an obvious count of it does", () => {
  const owners = [HOST, PROXY, OTHER];
  const event = fc.oneof(
    fc.record({ kind: fc.constant("write" as const), audience: fc.subarray(owners) }),
    fc.record({ kind: fc.constant("reach" as const), owner: fc.constantFrom(...owners), back: fc.nat(4) }),
    fc.record({
      kind: fc.constant("wait" as const),
      ms: fc.constantFrom(1, 10, CONVERGENCE_DEADLINE_MS / 2),
    }),
    fc.constant({ kind: "forget" as const }),
  );
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      meter = new Convergence();
      const writes: { counter: number; atMs: number; left: Set<OwnerId>; lastMs: number; isLost: boolean }[] =
        [];
      let [counter, nowMs] = [0, 0];
      for (const one of events) {
        if (one.kind === "write") {
          counter += 1;
          const all = new Set(one.audience);
          meter.wrote(counter, nowMs, { proxies: all, stores: all });
          if (all.size > 0)
            writes.push({ counter, atMs: nowMs, left: new Set(all), lastMs: 0, isLost: false });
        } else if (one.kind === "reach") {
          const upTo = Math.max(0, counter - one.back);
          reach(one.owner, upTo, nowMs);
          for (const write of writes) {
            if (write.isLost || write.counter > upTo || !write.left.delete(one.owner)) continue;
            write.lastMs = nowMs - write.atMs;
          }
        } else if (one.kind === "wait") {
          nowMs += one.ms;
          meter.expire(nowMs);
          for (const write of writes)
            write.isLost ||= write.left.size > 0 && nowMs - write.atMs >= CONVERGENCE_DEADLINE_MS;
        } else {
          meter.forget(() => false);
        }
      }
      const done = writes.filter(({ left }) => left.size === 0);
      for (const view of Object.values(meter.view())) {
        expect(view.writes).toBe(writes.length);
        expect(measured(view)).toBe(done.length);
        expect(lost(view)).toBe(writes.filter(({ isLost }) => isLost).length);
        expect(view.seconds.sum).toBeCloseTo(
          done.reduce((sum, { lastMs }) => sum + lastMs / 1_000, 0),
          6,
        );
      }
    }),
  );
});
