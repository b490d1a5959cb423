import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { LINK_LOST_CHECK_MS, OBJECTION_MS, PROBE_INTERVAL_MS } from "../limits.ts";
import { seededRandom } from "../sim/seeded-random.ts";
import { type OwnerId, ownerId } from "./ids.ts";
import { Liveness } from "./liveness.ts";
import type { LivenessEffect, LivenessInput, LivenessMember } from "./liveness-face.ts";

const SELF = ownerId("self");
const [A, B, C, X] = ["a", "b", "c", "x"].map(ownerId) as [OwnerId, OwnerId, OwnerId, OwnerId];
const LIFE = { incarnation: 1, refutation: 0 };

/** One detector, its clock and its timers; others answer as a test says. */
class Bench {
  readonly liveness = new Liveness({ self: SELF, life: LIFE }, { random: seededRandom(1) });
  readonly effects: LivenessEffect[] = [];
  /** Who answers probes, at once. */
  readonly answering = new Set<OwnerId>();
  /** Who tells, when asked to probe for us, that the target does not answer it either. */
  readonly relaying = new Set<OwnerId>();
  #timers: { atMs: number; input: LivenessInput }[] = [];
  nowMs = 0;

  constructor(members: readonly OwnerId[]) {
    this.do({ kind: "begin" });
    this.do({ kind: "members", members: members.map((owner) => memberOf(owner)) });
    for (const peer of members) {
      this.do({ kind: "link", peer, isUp: true });
      this.answering.add(peer);
      this.relaying.add(peer);
    }
  }

  do(input: LivenessInput): readonly LivenessEffect[] {
    const effects = this.liveness.step(input, this.nowMs);
    this.effects.push(...effects);
    for (const effect of effects) this.#perform(effect);
    return effects;
  }

  run(forMs: number): void {
    const endMs = this.nowMs + forMs;
    for (;;) {
      this.#timers.sort((left, right) => left.atMs - right.atMs);
      const [next] = this.#timers;
      if (next === undefined || next.atMs > endMs) break;
      this.#timers.shift();
      this.nowMs = next.atMs;
      this.do(next.input);
    }
    this.nowMs = endMs;
  }

  accuse(accuser: OwnerId, suspect: OwnerId, refutation = 0): void {
    const accusation = { life: { incarnation: 1, refutation }, reason: "silent" as const };
    this.do({ kind: "accusation", accuser, suspect, accusation });
  }

  state(owner: OwnerId): string | undefined {
    return this.liveness.judgement(owner)?.state;
  }

  judged(owner: OwnerId): readonly string[] {
    return this.effects.flatMap((effect) =>
      effect.kind === "judged" && effect.owner === owner ? [effect.to] : [],
    );
  }

  #perform(effect: LivenessEffect): void {
    if (effect.kind === "schedule") {
      const input = { kind: "timer", token: effect.token } as const;
      this.#timers.push({ atMs: this.nowMs + effect.delayMs, input });
    } else if (effect.kind === "send") {
      const { to, message } = effect;
      if (message.kind === "probe" && this.answering.has(to)) {
        this.do({ kind: "message", from: to, message: { kind: "probe-ack", serial: message.serial } });
      } else if (message.kind === "probe-request" && this.relaying.has(to)) {
        const isAlive = this.answering.has(message.target);
        const report = { kind: "probe-report", serial: message.serial, isAlive } as const;
        this.do({ kind: "message", from: to, message: report });
      }
    }
  }
}

function memberOf(owner: OwnerId, part: Partial<LivenessMember> = {}): LivenessMember {
  return { owner, life: LIFE, hasLeft: false, ...part };
}

let bench: Bench;

beforeEach(() => {
  bench = new Bench([A, B, C, X]);
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

  test("are told to the accused by whoever probes it", () => {
    bench.answering.delete(X);
    bench.accuse(A, X);
    const sent = bench.effects.filter((effect) => effect.kind === "send" && effect.to === X);
    expect(sent).toContainEqual(
      expect.objectContaining({ message: { kind: "probe", serial: expect.any(Number), accused: LIFE } }),
    );
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
      const each = new Bench([A, B, C, X]);
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
