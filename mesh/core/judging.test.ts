import { beforeEach, describe, expect, test } from "vitest";
import { ACCUSERS_ENOUGH, COUNTER_MAX, PROBE_INTERVAL_MS } from "../limits.ts";
import { DetectorBench, LIFE, memberOf, SELF } from "../sim/liveness/detector-bench.ts";
import { type OwnerId, ownerId } from "./ids.ts";

const [A, B, C, X] = ["a", "b", "c", "x"].map(ownerId) as [OwnerId, OwnerId, OwnerId, OwnerId];

let bench: DetectorBench;

beforeEach(() => {
  bench = new DetectorBench([A, B, C, X]);
});

describe("accusations by others", () => {
  test("of one that answers us do not make it dead, however many they are", () => {
    for (const accuser of [A, B, C]) bench.accuse(accuser, X);
    bench.run(60_000);
    expect(bench.state(X)).toBe("alive");
  });

  test("of an older life than is known count nothing", () => {
    bench.do({ kind: "member", member: memberOf(X, { life: { incarnation: 1, refutation: 1 } }) });
    bench.accuse(A, X);
    expect(bench.judged(X)).toEqual([]);
  });

  test("of one that answered us a moment ago are looked into: it is suspect once it does not answer again", () => {
    bench.run(10_000);
    bench.do({ kind: "link", peer: X, isUp: true });
    bench.accuse(A, X);
    expect(bench.state(X)).toBe("alive");
    bench.answering.delete(X);
    bench.relaying.clear();
    bench.run(5 * PROBE_INTERVAL_MS);
    expect(bench.judged(X)).toEqual(["suspect"]);
  });

  test("of a life that it has not shown yet count once it has", () => {
    bench.answering.delete(X);
    bench.accuse(A, X, 1);
    expect(bench.judged(X)).toEqual([]);
    bench.do({ kind: "member", member: memberOf(X, { life: { incarnation: 1, refutation: 1 } }) });
    expect(bench.judged(X)).toEqual(["suspect"]);
  });

  test("that are many enough are not joined by ours: what all know need not be said by all", () => {
    const crowd = Array.from({ length: ACCUSERS_ENOUGH }, (_, index) => ownerId(`crowd-${index}`));
    bench = new DetectorBench([...crowd, X]);
    bench.answering.delete(X);
    for (const accuser of crowd) bench.accuse(accuser, X);
    bench.run(10 * PROBE_INTERVAL_MS);
    expect(bench.state(X)).toBe("dead");
    expect(bench.effects.filter(({ kind }) => kind === "accuse")).toEqual([]);
  });

  test("by one that is dead itself count nothing", () => {
    bench.do({ kind: "member", member: memberOf(A, { hasLeft: true }) });
    bench.accuse(A, X);
    expect(bench.judged(X)).toEqual([]);
  });

  test("that are taken back leave it alive", () => {
    bench.answering.delete(X);
    bench.accuse(A, X);
    expect(bench.state(X)).toBe("suspect");
    bench.do({ kind: "accusation", accuser: A, suspect: X, accusation: null });
    expect(bench.state(X)).toBe("alive");
  });

  test("of ourselves are objected to once for each life", () => {
    bench.accuse(A, SELF);
    bench.accuse(B, SELF);
    bench.do({ kind: "message", from: C, message: { kind: "probe", serial: 1, accused: LIFE } });
    const objections = bench.effects.filter(({ kind }) => kind === "refute");
    expect(objections).toEqual([{ kind: "refute", refutation: 1 }]);
  });

  test("of a life that we never had are not objected to: nobody may drive our count up to its bound", () => {
    bench.do({
      kind: "accusation",
      accuser: A,
      suspect: SELF,
      accusation: { life: { incarnation: 1, refutation: COUNTER_MAX }, reason: "silent" },
    });
    expect(bench.effects.filter(({ kind }) => kind === "refute")).toEqual([]);
  });

  test("are told to the accused by whoever probes it", () => {
    bench.answering.delete(X);
    bench.accuse(A, X);
    const sent = bench.effects.filter((effect) => effect.kind === "send" && effect.to === X);
    expect(sent).toContainEqual(
      expect.objectContaining({ message: { kind: "probe", serial: expect.any(Number), accused: LIFE } }),
    );
  });
});

test("when half of all are lost at once nobody is dead, for as long as it lasts; then all are alive", () => {
  const lost = [B, C, X];
  for (const owner of lost) {
    bench.answering.delete(owner);
    bench.relaying.delete(owner);
  }
  bench.run(5_000);
  for (const owner of lost) bench.accuse(A, owner);
  bench.run(600_000);
  expect(lost.map((owner) => bench.state(owner))).toEqual(["suspect", "suspect", "suspect"]);
  for (const owner of lost) {
    bench.answering.add(owner);
    bench.relaying.add(owner);
  }
  bench.run(20_000);
  expect(lost.map((owner) => bench.state(owner))).toEqual(["alive", "alive", "alive"]);
});

test("while nobody more is declared dead an answer clears who gives it, whoever accuses it meanwhile", () => {
  const lost = [B, C, X];
  for (const owner of lost) bench.answering.delete(owner);
  bench.run(5_000);
  for (const owner of lost) bench.accuse(A, owner);
  bench.run(5_000);
  const before = bench.effects.length;
  bench.run(PROBE_INTERVAL_MS);
  const probe = bench.effects
    .slice(before)
    .findLast((effect) => effect.kind === "send" && effect.to === X && effect.message.kind === "probe");
  // Each word against it makes us look at it anew; its answer to what was asked before is an answer all the same.
  bench.nowMs += 1;
  bench.accuse(C, X);
  if (probe?.kind !== "send") throw new Error("it is not probed");
  bench.do({ kind: "message", from: X, message: { kind: "probe-ack", serial: probe.message.serial } });
  expect(bench.effects).toContainEqual({ kind: "accuse", suspect: X, accusation: null });
});

test("a death is not put off to the next interval by a timer that rings a little early", () => {
  const diedAtMs = (earlyMs: number): number => {
    bench = new DetectorBench([A, B, C, X]);
    bench.lateMs = -earlyMs;
    bench.answering.delete(X);
    for (const accuser of [A, B, C]) bench.accuse(accuser, X);
    while (bench.state(X) !== "dead" && bench.nowMs < 60_000) bench.run(1);
    return bench.nowMs;
  };
  expect(diedAtMs(0.5)).toBeLessThanOrEqual(diedAtMs(0) + 1);
});
