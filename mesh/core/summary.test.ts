import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  createReplica,
  deltaOf,
  depsOf,
  describeEffects,
  OTHER,
  PEER,
  SELF,
  tokenOf,
  wordOn,
} from "../sim/replica-harness.ts";
import { digestOf } from "./digest.ts";
import type { Effect, ReplicaInput } from "./effect.ts";
import { HostState } from "./host-state.ts";
import { type OwnerId, ownerId } from "./ids.ts";
import type { DeltaMessage, HostDelta } from "./message.ts";
import { Replica } from "./replica.ts";
import { isSameSummary, type SummaryHash, summaryOf } from "./summary.ts";
import type { TimerToken } from "./timers.ts";

describe("summaryOf()", () => {
  interface Written {
    readonly owner: string;
    readonly incarnation: number;
    readonly values: readonly number[];
  }

  function storeOf(states: readonly Written[]): Parameters<typeof summaryOf>[0] {
    const built = states.map(({ owner, incarnation, values }) => {
      const state = new HostState(ownerId(owner), { incarnation, startId: 2 ** 47 + 1 });
      for (const [at, value] of values.entries()) {
        const version = { ...state.start, counter: at + 1 };
        state.put({ owner: state.owner, key: `${at}`, value: new Uint8Array([value]), version });
      }
      return [state.owner, state] as const;
    });
    return { statesInForce: new Map(built) };
  }

  const written = fc.uniqueArray(
    fc.record({
      owner: fc.constantFrom("a", "b", "ab", "ba", "c"),
      incarnation: fc.constantFrom(1, 2, 2 ** 40),
      values: fc.array(fc.nat(2), { minLength: 1, maxLength: 3 }),
    }),
    { selector: ({ owner }) => owner },
  );
  const inOrder = (states: readonly Written[]) => JSON.stringify([...states].sort(byOwner));
  const byOwner = (left: Written, right: Written) => (left.owner < right.owner ? -1 : 1);

  test("is the same for the same states in any order, and another for others", () => {
    fc.assert(
      fc.property(written, written, (left, right) => {
        expect(summaryOf(storeOf(left.toReversed()))).toEqual(summaryOf(storeOf(left)));
        const isSame = isSameSummary(summaryOf(storeOf(left)), summaryOf(storeOf(right)));
        expect(isSame).toBe(inOrder(left) === inOrder(right));
      }),
      { numRuns: 2_000 },
    );
  });

  test("follows each write, and does not look at what was collected", () => {
    const store = storeOf([{ owner: "a", incarnation: 1, values: [1, 2] }]);
    const [state] = store.statesInForce.values();
    const before = summaryOf(store);
    state?.inheritCompacted(1);
    expect(summaryOf(store)).toEqual(before);
    const version = { incarnation: 1, startId: 2 ** 47 + 1, counter: 3 };
    state?.put({ owner: ownerId("a"), key: "0", value: null, version });
    expect(summaryOf(store)).not.toEqual(before);
  });
});

const DONE = { kind: "delta", deltas: [], hasMore: false, isLacking: false } as const;

/** SELF, connected to PEER, which has answered the digest of the connect: the tick comes next. */
function connected(): { readonly replica: Replica; readonly tick: ReplicaInput } {
  const replica = createReplica();
  const tick = { kind: "timer", token: tokenOf(replica.step({ kind: "begin" }, 0)) } as const;
  replica.step({ kind: "peer-connected", peer: PEER }, 0);
  replica.step({ kind: "message", from: PEER, message: { ...DONE, round: 1 } }, 0);
  return { replica, tick };
}

/** What is sent, without the timers. */
function sentBy(effects: readonly Effect[]): readonly string[] {
  return describeEffects(effects).filter((line) => !line.startsWith("schedule"));
}

describe("the periodic round", () => {
  test("asks by a summary, and ends with the answer that nothing differs", () => {
    const { replica, tick } = connected();
    expect(sentBy(replica.step(tick, 1_000))).toEqual(["send summary to peer"]);
    expect(replica.describe()).toMatch(/rounds=1$/);
    expect(replica.step({ kind: "message", from: PEER, message: { ...DONE, round: 2 } }, 1_001)).toEqual([]);
    expect(replica.describe()).toMatch(/rounds=0$/);
  });

  test("may bring what was asked back in vain the second before", () => {
    const { replica, tick } = connected();
    const item = {
      owner: OTHER,
      start: { incarnation: 5, startId: 5 },
      counter: 1,
      compacted: 0,
      checksum: 9,
    };
    const items = [{ ...item, isInForce: true, wantsRepair: false }];
    const shown: ReplicaInput = {
      kind: "message",
      from: PEER,
      message: { kind: "digest", round: 5, items },
    };
    const answered = (round: number): ReplicaInput => {
      return { kind: "message", from: PEER, message: { ...DONE, round } };
    };
    expect(sentBy(replica.step(shown, 1))).toEqual(["send delta to peer", "send digest to peer"]);
    replica.step(answered(2), 2);
    expect(sentBy(replica.step(shown, 3))).toEqual(["send delta to peer"]);
    expect(sentBy(replica.step(tick, 1_000))).toEqual(["send summary to peer"]);
    replica.step(answered(3), 1_001);
    expect(sentBy(replica.step(shown, 1_002))).toEqual(["send delta to peer", "send digest to peer"]);
  });

  test("that is never answered expires, and the next one goes out", () => {
    const { replica, tick } = connected();
    let effects = replica.step(tick, 1_000);
    const lines: (readonly string[])[] = [];
    for (let nowMs = 2_000; nowMs <= 5_000; nowMs += 1_000) {
      effects = replica.step({ kind: "timer", token: tokenOf(effects) }, nowMs);
      lines.push(sentBy(effects));
    }
    expect(lines).toEqual([[], [], ["send summary to peer"], []]);
  });

  test("asks by a digest while something is built aside: no summary tells of that", () => {
    const { replica, tick } = connected();
    replica.step({ kind: "gossip", from: PEER, delta: deltaOf(OTHER) }, 1);
    replica.step({ kind: "gossip", from: PEER, delta: deltaOf(OTHER, { from: 1, to: 2, head: 3 }) }, 2);
    expect(replica.store.statesAside.size).toBe(1);
    expect(sentBy(replica.step(tick, 1_000))).toEqual(["send digest to peer"]);
  });
});

describe("a summary of a peer", () => {
  const summary = (hash: SummaryHash): ReplicaInput => {
    return { kind: "message", from: PEER, message: { kind: "summary", round: 7, hash } };
  };

  test("that is ours is answered by nothing more, and confirms what came from our own disk", () => {
    const replica = createReplica();
    replica.step({ kind: "restore", deltas: [deltaOf(OTHER)] }, 0);
    replica.step({ kind: "peer-connected", peer: PEER }, 0);
    replica.step({ kind: "message", from: PEER, message: { ...DONE, round: 1 } }, 0);
    expect(replica.store.isStale(OTHER)).toBe(true);
    replica.step(summary([1, 2]), 1);
    expect(replica.store.isStale(OTHER)).toBe(true);
    const [answer, ...rest] = replica.step(summary(summaryOf(replica.store)), 2);
    expect(answer).toEqual({ kind: "send", to: PEER, message: { ...DONE, round: 7 } });
    expect(rest).toEqual([]);
    expect(replica.store.isStale(OTHER)).toBe(false);
  });

  test("that is not ours is answered, and followed by our digest", () => {
    const { replica } = connected();
    const [answer, ...rest] = replica.step(summary([1, 2]), 1);
    expect(answer).toMatchObject({ message: { kind: "delta", round: 7, deltas: [], isLacking: true } });
    expect(sentBy(rest)).toEqual(["send digest to peer"]);
  });

  test("is not answered to a stranger", () => {
    const replica = createReplica();
    expect(replica.step(summary([1, 2]), 1)).toEqual([]);
  });

  test("lets a sync go on that waits for the peer to have been told", () => {
    const { replica } = connected();
    replica.step({ kind: "sync", peer: PEER, id: 1 }, 1);
    const lacking = { ...DONE, round: 2, isLacking: true };
    expect(sentBy(replica.step({ kind: "message", from: PEER, message: lacking }, 2))).toEqual([]);
    // Another brought it meanwhile what it lacked.
    expect(sentBy(replica.step(summary(summaryOf(replica.store)), 3))).toEqual([
      "send delta to peer",
      "send digest to peer",
    ]);
    expect(sentBy(replica.step({ kind: "message", from: PEER, message: { ...DONE, round: 3 } }, 4))).toEqual([
      "sync 1 ended true",
    ]);
  });
});

test("an answer that nothing differs confirms what came from our own disk", () => {
  const replica = createReplica();
  replica.step({ kind: "restore", deltas: [deltaOf(OTHER)] }, 0);
  const tick = { kind: "timer", token: tokenOf(replica.step({ kind: "begin" }, 0)) } as const;
  replica.step({ kind: "peer-connected", peer: PEER }, 0);
  const answer = (round: number, isLacking: boolean): void =>
    void replica.step({ kind: "message", from: PEER, message: { ...DONE, round, isLacking } }, 1);
  // To a digest it says only that it lacks nothing: it may have newer ones.
  answer(1, false);
  const ticked = replica.step(tick, 1_000);
  answer(2, true);
  expect(replica.store.isStale(OTHER)).toBe(true);
  replica.step({ kind: "timer", token: tokenOf(ticked) }, 2_000);
  answer(3, false);
  expect(replica.store.isStale(OTHER)).toBe(false);
});

describe("two that differ", () => {
  /** Two that are connected and talk until nothing is on its way; `tick` is one second at one of them. */
  class Pair {
    readonly replicas: readonly Replica[];
    readonly sent: string[] = [];
    readonly #owners = [SELF, PEER];
    readonly #tokens: TimerToken[] = [];
    readonly #queue: { readonly to: number; readonly message: DeltaMessage }[] = [];
    #nowMs = 0;

    constructor(held: readonly (readonly HostDelta[])[]) {
      this.replicas = this.#owners.map(
        (self) => new Replica({ self, start: { incarnation: 10, startId: 1 } }, depsOf(self)),
      );
      for (const side of [0, 1]) {
        this.#step(side, { kind: "begin" });
        this.#step(side, { kind: "announce" });
      }
      for (const side of [0, 1]) this.#step(side, { kind: "peer-connected", peer: this.#peerOf(side) });
      this.#run();
      for (const [side, deltas] of held.entries())
        for (const delta of deltas) this.#step(side, { kind: "gossip", from: OTHER, delta });
      this.#run();
      this.sent.length = 0;
    }

    tick(side: number): readonly string[] {
      this.#nowMs += 1_000;
      this.sent.length = 0;
      const token = this.#tokens[side];
      if (token !== undefined) this.#step(side, { kind: "timer", token });
      this.#run();
      return [...this.sent];
    }

    digests(): readonly unknown[] {
      return this.replicas.map(({ store }) =>
        // A start without a write is told to nobody.
        digestOf(store)
          .filter(({ counter }) => counter > 0)
          .sort((left, right) => (left.owner < right.owner ? -1 : 1)),
      );
    }

    #peerOf(side: number): OwnerId {
      return this.#owners[1 - side] ?? PEER;
    }

    #step(side: number, input: ReplicaInput): void {
      for (const effect of this.replicas[side]?.step(input, this.#nowMs) ?? []) {
        if (effect.kind === "schedule" && effect.token.purpose === "tick") this.#tokens[side] = effect.token;
        if (effect.kind !== "send") continue;
        this.sent.push(`${side}: ${effect.message.kind}`);
        this.#queue.push({ to: 1 - side, message: effect.message as DeltaMessage });
      }
    }

    #run(): void {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
        if (this.sent.length > 100) throw new Error("they talk for ever");
        this.#step(next.to, { kind: "message", from: this.#peerOf(next.to), message: next.message });
      }
    }
  }

  const ALPHA = deltaOf(ownerId("alpha"));
  const BETA = deltaOf(ownerId("beta"));

  test("end with what either had, whoever asked", () => {
    for (const side of [0, 1]) {
      for (const held of [
        [[ALPHA], []],
        [[], [ALPHA]],
        [[ALPHA], [BETA]],
      ]) {
        const pair = new Pair(held);
        const [first] = pair.tick(side);
        expect(first).toBe(`${side}: summary`);
        const [left, right] = pair.digests();
        expect(left).toEqual(right);
        expect(pair.tick(side)).toEqual([`${side}: summary`, `${1 - side}: delta`]);
      }
    }
  });

  test("end with the newer of two versions and of two starts", () => {
    const older = deltaOf(OTHER, { from: 0, to: 1 });
    const newer = deltaOf(OTHER, { from: 0, to: 3 });
    const later = deltaOf(OTHER, { start: { incarnation: 6, startId: 1 } });
    for (const side of [0, 1]) {
      for (const [left, right] of [
        [older, newer],
        [newer, later],
      ] as const) {
        const pair = new Pair([[left], [right]]);
        pair.tick(side);
        const [first, second] = pair.digests();
        expect(first).toEqual(second);
        expect(pair.replicas[0]?.store.head(OTHER)).toEqual({ ...right.start, counter: right.to });
      }
    }
  });

  test("because one refuses what the other holds do not talk for ever, and go on trying each second", () => {
    const pair = new Pair([[BETA], [BETA]]);
    pair.replicas[0]?.step({ kind: "forget", word: wordOn(BETA.owner, BETA.start) }, 0);
    const first = pair.tick(1);
    expect(first.length).toBeGreaterThan(2);
    expect(pair.replicas[0]?.store.head(BETA.owner)).toBeUndefined();
    expect(pair.tick(1)).toEqual(pair.tick(1));
  });
});
