import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { LINK_LOST_CHECK_MS, OBJECTION_MS, PROBE_INTERVAL_MS, PROBE_TIMEOUT_MS } from "../limits.ts";
import { DetectorBench, LIFE, memberOf, SELF } from "../sim/liveness/detector-bench.ts";
import { type OwnerId, ownerId } from "./ids.ts";
import type { LivenessEffect, LivenessInput } from "./liveness-face.ts";

const [A, B, C, X] = ["a", "b", "c", "x"].map(ownerId) as [OwnerId, OwnerId, OwnerId, OwnerId];

let bench: DetectorBench;

beforeEach(() => {
  bench = new DetectorBench([A, B, C, X]);
});

describe("a member that stopped answering", () => {
  beforeEach(() => bench.answering.delete(X));

  test("is accused after others could not reach it either, and is suspect then", () => {
    bench.run(10 * PROBE_INTERVAL_MS);
    expect(bench.effects).toContainEqual({
      kind: "accuse",
      suspect: X,
      accusation: { life: LIFE, reason: "silent" },
    });
    expect(bench.judged(X)).toEqual(["suspect"]);
    expect(bench.effects).toContainEqual({ kind: "doubt", peer: X });
  });

  test("is suspect for ever while one observer alone accuses it", () => {
    bench.run(600_000);
    expect(bench.state(X)).toBe("suspect");
  });

  test("is dead once a second one accuses it", () => {
    bench.run(20 * PROBE_INTERVAL_MS);
    bench.accuse(A, X);
    bench.run(60_000);
    expect(bench.judged(X)).toEqual(["suspect", "dead"]);
  });

  test("has time to object from the second accusation on", () => {
    bench.run(600_000);
    bench.accuse(A, X);
    bench.run(OBJECTION_MS - 1);
    expect(bench.state(X)).toBe("suspect");
    bench.do({ kind: "member", member: memberOf(X, { life: { incarnation: 1, refutation: 1 } }) });
    expect(bench.state(X)).toBe("alive");
    expect(bench.effects).toContainEqual({ kind: "accuse", suspect: X, accusation: null });
  });

  test("is alive again when it answers, dead as it was", () => {
    bench.run(20 * PROBE_INTERVAL_MS);
    bench.accuse(A, X);
    bench.run(60_000);
    bench.answering.add(X);
    bench.run(10_000);
    expect(bench.judged(X)).toEqual(["suspect", "dead", "alive"]);
  });

  test("is not blamed by one that nobody answers: it may be cut off itself", () => {
    for (const relay of [A, B, C]) bench.relaying.delete(relay);
    bench.run(20 * PROBE_INTERVAL_MS);
    expect(bench.judged(X)).toEqual([]);
    expect(bench.effects).toContainEqual({ kind: "count", counter: "probes-unheard", by: 1 });
  });
});

describe("a member whose connection was closed", () => {
  test("is not accused for that alone while others reach it", () => {
    bench.do({ kind: "link", peer: X, isUp: false });
    bench.run(60_000);
    expect(bench.judged(X)).toEqual([]);
  });

  test("is accused as closed when its kernel refuses us, and others have no answer", () => {
    bench.answering.delete(X);
    bench.do({ kind: "link", peer: X, isUp: false });
    bench.do({ kind: "dial-failed", peer: X, isRefused: true });
    bench.run(LINK_LOST_CHECK_MS);
    const accusation = { life: LIFE, reason: "closed" };
    expect(bench.effects).toContainEqual({ kind: "accuse", suspect: X, accusation });
  });
});

describe("a member that lost all its links", () => {
  beforeEach(() => {
    for (const peer of [A, B, C, X]) {
      bench.answering.delete(peer);
      bench.relaying.delete(peer);
      bench.do({ kind: "link", peer, isUp: false });
    }
    bench.run(20 * PROBE_INTERVAL_MS);
  });

  test("suspects all others, and tells nobody: it may be the one that is lost", () => {
    expect([A, B, C, X].map((owner) => bench.state(owner))).toEqual(Array(4).fill("suspect"));
    expect(bench.effects.filter(({ kind }) => kind === "accuse")).toEqual([]);
  });

  test("blames nobody once they are back, and tells what it holds against one that is not", () => {
    for (const peer of [A, B, C]) {
      bench.answering.add(peer);
      bench.relaying.add(peer);
      bench.do({ kind: "link", peer, isUp: true });
    }
    bench.run(20 * PROBE_INTERVAL_MS);
    expect([A, B, C, X].map((owner) => bench.state(owner))).toEqual(["alive", "alive", "alive", "suspect"]);
    const accused = bench.effects.flatMap((effect) => (effect.kind === "accuse" ? [effect.suspect] : []));
    expect(accused).toEqual([X]);
  });
});

describe("asked to probe for another", () => {
  const request = { kind: "probe-request", serial: 9, target: X } as const;
  const reports = (effects: readonly LivenessEffect[]) =>
    effects.flatMap((effect) =>
      effect.kind === "send" && effect.message.kind === "probe-report" ? [effect.message.isAlive] : [],
    );

  test("we say so when the target answers us", () => {
    bench.do({ kind: "message", from: A, message: request });
    expect(reports(bench.effects)).toEqual([true]);
  });

  test("we say at once that we lost it too", () => {
    bench.do({ kind: "link", peer: X, isUp: false });
    expect(reports(bench.do({ kind: "message", from: A, message: request }))).toEqual([false]);
  });

  test("we say only that we are here, and late, if we never had a link to it: that is no news of it", () => {
    const stranger = ownerId("stranger");
    bench.do({ kind: "member", member: memberOf(stranger) });
    const asked = bench.do({ kind: "message", from: A, message: { ...request, target: stranger } });
    expect(reports(asked)).toEqual([]);
    bench.run(PROBE_TIMEOUT_MS);
    expect(reports(bench.effects)).toEqual([false]);
  });
});

test("who said that it leaves is looked for by nobody, and is alive with its next start", () => {
  bench.do({ kind: "member", member: memberOf(X, { hasLeft: true }) });
  bench.answering.delete(X);
  bench.do({ kind: "link", peer: X, isUp: false });
  bench.run(60_000);
  bench.do({ kind: "member", member: memberOf(X, { life: { incarnation: 2, refutation: 0 } }) });
  expect(bench.judged(X)).toEqual(["left", "alive"]);
});

test("a probe by one of whom no entry is here yet is answered: it is not announced, and we are here", () => {
  const peer = ownerId("joiner");
  bench.do({ kind: "link", peer, isUp: true });
  const effects = bench.do({
    kind: "message",
    from: peer,
    message: { kind: "probe", serial: 7, accused: null },
  });
  expect(effects).toEqual([{ kind: "send", to: peer, message: { kind: "probe-ack", serial: 7 } }]);
});

test("who is always late itself declares the dead all the same, once it has read what waits for it", () => {
  bench.answering.delete(X);
  bench.relaying.clear();
  bench.lateMs = 300;
  bench.accuse(A, X);
  bench.accuse(B, X);
  bench.run(120_000);
  expect(bench.judged(X)).toEqual(["suspect", "dead"]);
});

test("a stall of our own blames nobody", () => {
  bench.run(5_000);
  for (const owner of [A, B, C, X]) bench.answering.delete(owner);
  bench.run(PROBE_INTERVAL_MS);
  // The answers wait in our queue while every timer rings late.
  bench.nowMs += 30_000;
  for (const owner of [A, B, C, X]) bench.answering.add(owner);
  bench.run(20_000);
  for (const owner of [A, B, C, X]) expect(bench.judged(owner)).toEqual([]);
});

test("whatever comes, in whatever order, is taken without an exception, and one accuser kills nobody", () => {
  const owners = fc.constantFrom(SELF, A, B, C, X, ownerId("stranger"));
  const lives = fc.record({ incarnation: fc.nat(3), refutation: fc.nat(3) });
  const serial = fc.nat(20);
  const message = fc.oneof(
    fc.record({ kind: fc.constant("probe" as const), serial, accused: fc.option(lives) }),
    fc.record({ kind: fc.constant("probe-ack" as const), serial }),
    fc.record({ kind: fc.constant("probe-request" as const), serial, target: owners }),
    fc.record({ kind: fc.constant("probe-report" as const), serial, isAlive: fc.boolean() }),
  );
  const input: fc.Arbitrary<LivenessInput> = fc.oneof(
    fc.record({ kind: fc.constant("message" as const), from: owners, message }),
    fc.record({ kind: fc.constant("link" as const), peer: owners, isUp: fc.boolean() }),
    fc.record({ kind: fc.constant("dial-failed" as const), peer: owners, isRefused: fc.boolean() }),
    fc.record({ kind: fc.constant("lag" as const), lagMs: fc.nat(2_000) }),
    fc.record({
      kind: fc.constant("accusation" as const),
      accuser: fc.constant(A),
      suspect: owners,
      accusation: fc.option(
        fc.record({ life: lives, reason: fc.constantFrom("closed" as const, "silent" as const) }),
      ),
    }),
    fc.record({
      kind: fc.constant("timer" as const),
      token: fc.record({ purpose: fc.constant("probe"), serial: fc.nat(40) }),
    }),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(1_500), input), { maxLength: 60 }), (steps) => {
      // None of ours fails: A's word alone must not do.
      const each = new DetectorBench([A, B, C, X]);
      for (const [afterMs, next] of steps) {
        each.run(afterMs);
        each.do(next);
      }
      for (const owner of [B, C]) {
        each.do({ kind: "link", peer: owner, isUp: true });
        each.run(10_000);
        expect(each.state(owner)).not.toBe("dead");
      }
    }),
    { numRuns: 300 },
  );
});
