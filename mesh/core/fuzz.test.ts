// Fuzz: whatever bytes a peer sends, the decoder answers with a result; whatever decodes, the replica takes without an
// exception and without growth that has no bound. 100,000 inputs each; fast-check prints the seed of a failure.

import fc from "fast-check";
import { expect, test } from "vitest";
import { depsOf, SELF } from "../sim/replica-harness.ts";
import { standInCrypto } from "../sim/stand-in-crypto.ts";
import { decodeMessage, encodeMessage } from "./codec.ts";
import type { Effect, ReplicaInput } from "./effect.ts";
import { headBytes, ROOT_BYTES, SIGNATURE_BYTES } from "./head.ts";
import { memberName, ownerId } from "./ids.ts";
import type { DigestItem, HostDelta, ReplicaMessage } from "./message.ts";
import { Replica } from "./replica.ts";
import type { TimerToken } from "./timers.ts";

const DECODED = 100_000;
/** Not how long it may take: when it is taken for hung. */
const HANG_MS = 120_000;
const RUNS = 500;
const INPUTS_A_RUN = 200;

// Few of each, so that what comes belongs together now and then.
const owners = fc.constantFrom(SELF, ...["a", "b", "c", "d"].map(ownerId));
const peers = fc.constantFrom(...["a", "b", "x"].map(ownerId));
const starts = fc.record({
  incarnation: fc.integer({ min: 1, max: 12 }),
  startId: fc.integer({ min: 1, max: 2 }),
});
const counters = fc.nat(6);
const bytes = fc.uint8Array({ maxLength: 20 });

/** In order as the codec demands; honestly signed, or not, or signed for other entries. */
const deltas: fc.Arbitrary<HostDelta> = fc
  .record({
    owner: owners,
    start: starts,
    born: starts,
    from: counters,
    length: fc.nat(3),
    beyond: fc.nat(2),
    completeAt: counters,
    compacted: counters,
    isRepair: fc.boolean(),
    isHonest: fc.boolean(),
    isTampered: fc.nat(4).map((nth) => nth === 0),
    values: fc.array(fc.option(bytes), { minLength: 3, maxLength: 3 }),
  })
  .map((part) => {
    const { owner, start, born, completeAt, compacted, isRepair, values } = part;
    const from = isRepair ? 0 : part.from;
    const to = from + part.length;
    const entries = values.slice(0, part.length).map((value, at) => {
      return { owner, key: `key-${at}`, value, version: { ...start, counter: from + at + 1 } };
    });
    const { roots, sign } = standInCrypto(owner);
    const isRoot = part.isHonest && !part.isTampered;
    const root = isRoot ? roots.rootOf(entries) : new Uint8Array(ROOT_BYTES);
    const claim = { counter: to + part.beyond, completeAt, born, raisedAbove: born.startId, root };
    const signature = part.isHonest ? sign(headBytes(owner, start, claim)) : new Uint8Array(SIGNATURE_BYTES);
    return { owner, start, from, to, head: { ...claim, signature }, compacted, isRepair, entries };
  });

const items: fc.Arbitrary<DigestItem> = fc.record({
  owner: owners,
  start: starts,
  counter: counters,
  compacted: counters,
  checksum: fc.nat(3),
  isInForce: fc.boolean(),
  wantsRepair: fc.boolean(),
});

const messages: fc.Arbitrary<ReplicaMessage> = fc.oneof(
  fc.record({
    kind: fc.constantFrom("digest" as const, "pull" as const),
    round: counters,
    items: fc.array(items, { maxLength: 6 }),
  }),
  fc.record({
    kind: fc.constant("summary" as const),
    round: counters,
    hash: fc.tuple(fc.maxSafeNat(), fc.maxSafeNat()),
  }),
  fc.record({
    kind: fc.constant("delta" as const),
    round: fc.nat(30),
    deltas: fc.array(deltas, { maxLength: 3 }),
    hasMore: fc.boolean(),
    isLacking: fc.boolean(),
  }),
);

type Chosen = ReplicaInput | { readonly kind: "ring" } | { readonly kind: "persisted" };

const inputs: fc.Arbitrary<Chosen> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant("message" as const), from: peers, message: messages }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("gossip" as const), from: peers, delta: deltas }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("peer-connected" as const), peer: peers }) },
  fc.record({ kind: fc.constant("peer-disconnected" as const), peer: peers }),
  fc.record({ kind: fc.constant("peer-overflowed" as const), peer: peers }),
  fc.record({ kind: fc.constant("sync" as const), peer: peers, id: fc.nat(5) }),
  fc.record({
    kind: fc.constant("forget" as const),
    word: fc.record({ owner: owners, upTo: starts, name: fc.constant(memberName("gone")) }),
  }),
  fc.record({
    kind: fc.constant("write" as const),
    key: fc.constantFrom("x", "y"),
    value: fc.option(bytes),
  }),
  fc.constant({ kind: "announce" as const }),
  fc.constant({ kind: "ring" as const }),
  fc.constant({ kind: "persisted" as const }),
);

test(
  `${DECODED} byte strings, whole messages with some bytes changed among them, decode to a result`,
  () => {
    const any = fc.oneof(
      fc.uint8Array({ maxLength: 120 }),
      fc
        .tuple(messages, fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 4 }), fc.nat(30))
        .map(([message, changes, cut]) => {
          const whole = encodeMessage(message);
          for (const [at, byte] of changes) whole[at % whole.length] = byte;
          return whole.subarray(0, whole.length - (cut % 3 === 0 ? cut : 0));
        }),
    );
    let good = 0;
    fc.assert(
      fc.property(any, (input) => {
        const decoded = decodeMessage(input);
        if (!decoded.ok) return;
        good += 1;
        // What passed can be said again.
        expect(decodeMessage(encodeMessage(decoded.value))).toEqual(decoded);
      }),
      { numRuns: DECODED },
    );
    expect(good).toBeGreaterThan(DECODED / 20);
  },
  HANG_MS,
);

/** One run: a shell that keeps what the replica asked for, and gives it back when the input says so. */
class Shell {
  readonly replica = new Replica({ self: SELF, start: { incarnation: 5, startId: 1 } }, depsOf(SELF));
  #timers: TimerToken[] = [];
  #persisting: number[] = [];
  #nowMs = 0;

  take(chosen: Chosen): readonly Effect[] {
    this.#nowMs += 300;
    const input = this.#inputOf(chosen);
    if (input === undefined) return [];
    const effects = this.replica.step(input, this.#nowMs);
    for (const effect of effects) {
      if (effect.kind === "schedule") this.#timers = [...this.#timers.slice(-20), effect.token];
      if (effect.kind === "persist-incarnation") this.#persisting.push(effect.incarnation);
    }
    return effects;
  }

  #inputOf(chosen: Chosen): ReplicaInput | undefined {
    if (chosen.kind === "ring") {
      const token = this.#timers.shift();
      return token && { kind: "timer", token };
    }
    if (chosen.kind !== "persisted") return chosen;
    const incarnation = this.#persisting.shift();
    return incarnation === undefined ? undefined : { kind: "incarnation-persisted", incarnation, startId: 7 };
  }
}

test(
  `${RUNS * INPUTS_A_RUN} inputs of any kind: no exception, and all that is kept stays bounded`,
  () => {
    const seen = new Set<string>();
    const row = fc.array(inputs, { minLength: INPUTS_A_RUN, maxLength: INPUTS_A_RUN, size: "max" });
    fc.assert(
      fc.property(row, (list) => {
        const shell = new Shell();
        shell.take({ kind: "begin" });
        for (const chosen of list) {
          for (const effect of shell.take(chosen)) {
            seen.add(effect.kind === "count" ? effect.counter : effect.kind);
            if (effect.kind !== "send") continue;
            expect(decodeMessage(encodeMessage(effect.message))).toMatchObject({ ok: true });
          }
        }
        const { store } = shell.replica;
        const sizes = store.states().map((state) => state.size);
        // Keys that exist, owners that exist, one state in force and one aside each: nothing else can be kept.
        expect(sizes.length).toBeLessThanOrEqual(2 * 5);
        expect(Math.max(...sizes)).toBeLessThanOrEqual(5);
        expect(shell.replica.describe()).toMatch(/rounds=[0-9]$/);
      }),
      { numRuns: RUNS },
    );
    // The inputs reach what they are meant to reach.
    expect([...seen]).toEqual(
      expect.arrayContaining([
        "changed",
        "gossip-applied",
        "gaps",
        "stale",
        "refused-root",
        "refused-signature",
        "twins",
        "repairs",
        "forgotten",
        "summaries",
      ]),
    );
  },
  HANG_MS,
);
