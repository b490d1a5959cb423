import { describe, expect, test } from "vitest";
import {
  ANTI_ENTROPY_INTERVAL_MS,
  GOSSIP_BYTES_MAX,
  GOSSIP_COALESCE_MS,
  OWNERS_MAX,
  ROUND_TIMEOUT_MS,
  SETTLE_SYNC_MS,
} from "../limits.ts";
import {
  countersOf,
  createReplica,
  deltaOf,
  depsOf,
  describeEffects,
  OTHER,
  PEER,
  SELF,
  tokenOf,
  VALUE,
} from "../sim/replica-harness.ts";
import { encodeMessage } from "./codec.ts";
import type { Effect, ReplicaInput } from "./effect.ts";
import { ownerId } from "./ids.ts";
import type { DeltaMessage, DigestItem, HostDelta } from "./message.ts";
import { Replica } from "./replica.ts";

describe("own changes", () => {
  test("are only collected before announce, and then go out together", () => {
    const replica = createReplica();
    expect(describeEffects(replica.step({ kind: "write", key: "a", value: VALUE }, 0))).toEqual([
      "changed self/a by own",
    ]);
    replica.step({ kind: "write", key: "b", value: VALUE }, 0);
    expect(describeEffects(replica.step({ kind: "announce" }, 0))).toEqual([
      "publish (0,2] complete@2 entries=2",
    ]);
    expect(replica.step({ kind: "announce" }, 0)).toEqual([]);
  });

  test("go out at once when the line is idle, and are coalesced when it is not", () => {
    const replica = createReplica();
    replica.step({ kind: "announce" }, 0);
    const now = 100;
    expect(describeEffects(replica.step({ kind: "write", key: "a", value: VALUE }, now))).toContain(
      "publish (0,1] complete@1 entries=1",
    );
    const second = replica.step({ kind: "write", key: "b", value: VALUE }, now + 1);
    expect(describeEffects(second)).toEqual([
      "changed self/b by own",
      `schedule flush in ${GOSSIP_COALESCE_MS - 1}`,
    ]);
    expect(describeEffects(replica.step({ kind: "write", key: "b", value: null }, now + 2))).toEqual([
      "changed self/b by own",
    ]);
    const timer = { kind: "timer", token: tokenOf(second) } as const;
    expect(describeEffects(replica.step(timer, now + 4))).toEqual(["publish (1,3] complete@1 entries=1"]);
    expect(replica.step(timer, now + 5)).toEqual([]);
  });

  test("that do not fit one message go out as a head, for peers to pull", () => {
    const replica = createReplica();
    for (let at = 0; at < 3; at += 1) {
      replica.step({ kind: "write", key: `${at}`, value: new Uint8Array(GOSSIP_BYTES_MAX / 2) }, 0);
    }
    expect(describeEffects(replica.step({ kind: "announce" }, 0))).toEqual([
      "publish (3,3] complete@3 entries=0",
    ]);
  });
});

describe("gossip", () => {
  test("with a gap is pulled from its owner, or else from who handed it on", () => {
    const replica = createReplica();
    replica.step({ kind: "peer-connected", peer: PEER }, 0);
    const gap = { kind: "gossip", from: PEER, delta: deltaOf(OTHER, { from: 3, to: 4, head: 4 }) } as const;
    expect(describeEffects(replica.step(gap, 1))).toEqual(["send pull to peer"]);
    expect(countersOf(replica.step(gap, 2))).toEqual(["gaps"]);
    replica.step({ kind: "peer-disconnected", peer: PEER }, 3);
    replica.step({ kind: "peer-connected", peer: OTHER }, 4);
    expect(describeEffects(replica.step(gap, 5))).toEqual(["send pull to other"]);
  });

  test("of an earlier start is answered by a digest, so that its sender learns the newer", () => {
    const replica = createReplica();
    replica.step({ kind: "gossip", from: PEER, delta: deltaOf(OTHER) }, 0);
    replica.step({ kind: "peer-connected", peer: PEER }, 0);
    // The digest that was sent on connect is answered first.
    const done = { kind: "delta", round: 1, deltas: [], hasMore: false, isLacking: false } as const;
    replica.step({ kind: "message", from: PEER, message: done }, 1);
    const stale = deltaOf(OTHER, { start: { incarnation: 4, startId: 9 } });
    expect(describeEffects(replica.step({ kind: "gossip", from: PEER, delta: stale }, 2))).toEqual([
      "send digest to peer",
    ]);
  });

  test("with other values than were signed is asked for as a stretch; if that has them too, as a whole", () => {
    const replica = createReplica();
    for (const peer of [PEER, OTHER]) replica.step({ kind: "peer-connected", peer }, 0);
    replica.step({ kind: "gossip", from: PEER, delta: deltaOf(OTHER) }, 0);
    const wrong = { ...deltaOf(OTHER, { from: 1, to: 2 }), entries: [] };
    const pulls = (effects: readonly Effect[]) =>
      effects.flatMap((effect) =>
        effect.kind === "send" && effect.message.kind === "pull"
          ? [{ to: effect.to, ...effect.message }]
          : [],
      );
    const [pull] = pulls(replica.step({ kind: "gossip", from: PEER, delta: wrong }, 1));
    expect(pull).toMatchObject({ to: OTHER, items: [{ counter: 1, wantsRepair: false }] });
    const done = { kind: "delta", deltas: [], hasMore: false, isLacking: false } as const;
    replica.step({ kind: "message", from: OTHER, message: { ...done, round: pull?.round ?? 0 } }, 2);
    const message = { ...done, round: 99, deltas: [wrong] };
    expect(pulls(replica.step({ kind: "message", from: PEER, message }, 3))).toMatchObject([
      { to: OTHER, items: [{ counter: 1, wantsRepair: true }] },
    ]);
  });

  test("of one owner too many is refused and counted", () => {
    const replica = createReplica();
    for (let at = 0; at < OWNERS_MAX - 1; at += 1) {
      replica.step({ kind: "gossip", from: PEER, delta: deltaOf(ownerId(`${at}`)) }, 0);
    }
    const effects = replica.step({ kind: "gossip", from: PEER, delta: deltaOf(OTHER) }, 0);
    expect(countersOf(effects)).toEqual(["refused-owners-max"]);
  });
});

test("a bound on deltas is kept: what does not fit is said to be more", () => {
  const own = Array.from({ length: 20 }, (_, at) => `vm/${at}`);
  const answerOf = (deltaBytesMax?: number): unknown => {
    const bounds = deltaBytesMax === undefined ? {} : { deltaBytesMax };
    const replica = new Replica(
      { self: SELF, start: { incarnation: 10, startId: 1 }, ...bounds },
      depsOf(SELF),
    );
    for (const key of own) replica.step({ kind: "write", key, value: new Uint8Array(400) }, 0);
    replica.step({ kind: "announce" }, 0);
    replica.step({ kind: "peer-connected", peer: PEER }, 0);
    const message = { kind: "digest", round: 1, items: [] } as const;
    const sent = replica
      .step({ kind: "message", from: PEER, message }, 1)
      .find(({ kind }) => kind === "send");
    return sent?.kind === "send" ? sent.message : undefined;
  };
  expect(answerOf()).toMatchObject({ hasMore: false, deltas: [{ from: 0, to: 20 }] });
  const cut = answerOf(4_096);
  expect(cut).toMatchObject({ hasMore: true, deltas: [{ from: 0, head: { counter: 20 } }] });
  expect(encodeMessage(cut as DeltaMessage).length).toBeLessThanOrEqual(4_096);
});

describe("two that refuse what the other holds", () => {
  test("do not send digests to and fro for ever", () => {
    const owners = Array.from({ length: 2 * OWNERS_MAX }, (_, at) => ownerId(`owner-${at}`));
    const replicas = [SELF, PEER].map((self, side) => {
      const replica = new Replica({ self, start: { incarnation: 10, startId: 1 } }, depsOf(self));
      const known = owners.slice(side * OWNERS_MAX, (side + 1) * OWNERS_MAX);
      for (const owner of known) replica.step({ kind: "gossip", from: OTHER, delta: deltaOf(owner) }, 0);
      return replica;
    });
    const queue: { readonly to: number; readonly effect: Effect }[] = [];
    const step = (side: number, input: ReplicaInput): void => {
      for (const effect of replicas[side]?.step(input, 1) ?? []) queue.push({ to: 1 - side, effect });
    };
    step(0, { kind: "peer-connected", peer: PEER });
    step(1, { kind: "peer-connected", peer: SELF });
    let frames = 0;
    for (let next = queue.shift(); next !== undefined && frames < 100; next = queue.shift()) {
      if (next.effect.kind !== "send") continue;
      frames += 1;
      step(next.to, { kind: "message", from: next.to === 0 ? PEER : SELF, message: next.effect.message });
    }
    expect(frames).toBeLessThan(20);
  });
});

describe("sync", () => {
  test("ends when the answer has no more, and is chased chunk by chunk until then", () => {
    const replica = createReplica();
    replica.step({ kind: "peer-connected", peer: PEER }, 0);
    expect(describeEffects(replica.step({ kind: "sync", peer: PEER, id: 1 }, 0))).toEqual([]);
    const answer = (round: number, deltas: readonly HostDelta[], hasMore: boolean) =>
      replica.step(
        { kind: "message", from: PEER, message: { kind: "delta", round, deltas, hasMore, isLacking: false } },
        1,
      );
    // Asked for while the digest of the connect was out: that one ends, and another follows for it.
    expect(describeEffects(answer(1, [], false))).toEqual(["send digest to peer"]);
    const first = deltaOf(OTHER, { head: 2 });
    expect(describeEffects(answer(2, [first], true))).toEqual(["send digest to peer"]);
    const second = deltaOf(OTHER, { from: 1, to: 2, head: 2 });
    expect(describeEffects(answer(3, [second], false))).toEqual([
      "changed other/a by sync",
      "sync 1 ended true",
    ]);
    expect(describeEffects(answer(3, [], false))).toEqual([]);
  });

  test("goes on when another brought meanwhile what the answer holds", () => {
    const replica = createReplica();
    replica.step({ kind: "peer-connected", peer: PEER }, 0);
    const delta = deltaOf(OTHER, { head: 2 });
    replica.step({ kind: "gossip", from: PEER, delta }, 1);
    const answer = { kind: "delta", round: 1, deltas: [delta], hasMore: true, isLacking: false } as const;
    expect(describeEffects(replica.step({ kind: "message", from: PEER, message: answer }, 2))).toEqual([
      "send digest to peer",
    ]);
  });

  /** A sync whose first answer says that the peer lacks something; then its digest comes and is answered. */
  function syncWithLackingPeer() {
    const replica = createReplica();
    replica.step({ kind: "announce" }, 0);
    replica.step({ kind: "peer-connected", peer: PEER }, 0);
    const answer = (round: number, isLacking: boolean) => {
      const message = { kind: "delta", round, deltas: [], hasMore: false, isLacking } as const;
      return describeEffects(replica.step({ kind: "message", from: PEER, message }, 1));
    };
    const ask = () => {
      const message = { kind: "digest", round: 7, items: [] } as const;
      return describeEffects(replica.step({ kind: "message", from: PEER, message }, 1));
    };
    answer(1, false);
    expect(describeEffects(replica.step({ kind: "sync", peer: PEER, id: 1 }, 1))).toEqual([
      "send digest to peer",
    ]);
    expect(answer(2, true)).toEqual([]);
    expect(ask()).toEqual(["send delta to peer", "send digest to peer"]);
    return { answer, ask };
  }

  test("ends only when the peer has read what it lacked of ours", () => {
    const { answer, ask } = syncWithLackingPeer();
    // It lacks something again, and asks: it is told once more.
    expect(ask()).toEqual(["send delta to peer"]);
    expect(answer(3, true)).toEqual(["send digest to peer"]);
    expect(answer(4, false)).toEqual(["sync 1 ended true"]);
  });

  test("waits for a peer that lacks something until it has asked, however late that is", () => {
    const { answer, ask } = syncWithLackingPeer();
    expect(answer(3, true)).toEqual([]);
    expect(ask()).toEqual(["send delta to peer", "send digest to peer"]);
    expect(answer(4, false)).toEqual(["sync 1 ended true"]);
  });

  test("fails when the peer goes on lacking, however often it is told", () => {
    const { answer, ask } = syncWithLackingPeer();
    const ends = [3, 4, 5, 6].map((round) => {
      ask();
      return answer(round, true);
    });
    expect(ends).toEqual([...Array(3).fill(["send digest to peer"]), ["sync 1 ended false"]]);
  });

  test("fails when a frame to its peer was dropped: the answer that it counts on may be gone", () => {
    const replica = createReplica();
    const connected = replica.step({ kind: "peer-connected", peer: PEER }, 0);
    replica.step({ kind: "timer", token: tokenOf(connected) }, SETTLE_SYNC_MS);
    replica.step({ kind: "sync", peer: PEER, id: 1 }, SETTLE_SYNC_MS);
    const overflow = { kind: "peer-overflowed", peer: PEER } as const;
    const overflowed = replica.step(overflow, SETTLE_SYNC_MS + 1);
    expect(describeEffects(overflowed)).toEqual([
      "sync 1 ended false",
      `schedule settle in ${SETTLE_SYNC_MS}`,
    ]);
    // More that is dropped does not put off the digest that makes it good.
    expect(replica.step(overflow, SETTLE_SYNC_MS + 100)).toEqual([]);
    const settle = { kind: "timer", token: tokenOf(overflowed) } as const;
    expect(describeEffects(replica.step(settle, 2 * SETTLE_SYNC_MS + 1))).toEqual(["send digest to peer"]);
  });

  test("that makes no progress ends, whatever the peer says of more", () => {
    const replica = createReplica();
    replica.step({ kind: "peer-connected", peer: PEER }, 0);
    const message = { kind: "delta", round: 1, deltas: [], hasMore: true, isLacking: false } as const;
    expect(describeEffects(replica.step({ kind: "message", from: PEER, message }, 1))).toEqual([]);
  });

  test("fails when its peer is lost or does not answer in time", () => {
    const replica = createReplica();
    const begun = replica.step({ kind: "begin" }, 0);
    expect(describeEffects(begun)).toEqual([`schedule tick in ${ANTI_ENTROPY_INTERVAL_MS}`]);
    expect(describeEffects(replica.step({ kind: "sync", peer: PEER, id: 1 }, 0))).toEqual([
      "sync 1 ended false",
    ]);
    replica.step({ kind: "peer-connected", peer: PEER }, 0);
    replica.step({ kind: "sync", peer: PEER, id: 2 }, 0);
    const tick = { kind: "timer", token: tokenOf(begun) } as const;
    expect(describeEffects(replica.step(tick, ROUND_TIMEOUT_MS))).toContain("sync 2 ended false");
    replica.step({ kind: "sync", peer: PEER, id: 3 }, ROUND_TIMEOUT_MS);
    expect(
      describeEffects(replica.step({ kind: "peer-disconnected", peer: PEER }, ROUND_TIMEOUT_MS)),
    ).toEqual(["sync 3 ended false"]);
  });
});

describe("a sync whose last answer", () => {
  const endOf = (delta: HostDelta): readonly string[] => {
    const replica = createReplica();
    replica.step({ kind: "peer-connected", peer: PEER }, 0);
    const done = { kind: "delta", round: 1, deltas: [], hasMore: false, isLacking: false } as const;
    replica.step({ kind: "message", from: PEER, message: done }, 0);
    replica.step({ kind: "sync", peer: PEER, id: 1 }, 0);
    const message = { ...done, round: 2, deltas: [delta] };
    const effects = replica.step({ kind: "message", from: PEER, message }, 1);
    return describeEffects(effects).filter((line) => line.startsWith("sync"));
  };

  test("is taken has ended well", () => {
    expect(endOf(deltaOf(OTHER))).toEqual(["sync 1 ended true"]);
  });

  test("continues what we dropped since we asked has not: we lack what the peer held", () => {
    expect(endOf(deltaOf(OTHER, { from: 3, to: 4 }))).toEqual(["sync 1 ended false"]);
  });

  test("holds other values than were signed has not", () => {
    expect(endOf({ ...deltaOf(OTHER), entries: [] })).toEqual(["sync 1 ended false"]);
  });
});

describe("states from our own disk", () => {
  const restored = deltaOf(OTHER, { from: 0, to: 3 });
  const item = {
    owner: OTHER,
    start: restored.start,
    compacted: 0,
    checksum: 0,
    isInForce: true,
    wantsRepair: false,
  };

  function restoredReplica(): Replica {
    const replica = createReplica();
    expect(describeEffects(replica.step({ kind: "restore", deltas: [restored] }, 0))).toEqual([
      "changed other/a by disk",
    ]);
    expect(replica.store.isStale(OTHER)).toBe(true);
    replica.step({ kind: "peer-connected", peer: PEER }, 0);
    return replica;
  }

  /** A digest of PEER that shows OTHER at `counter`. */
  function digest(counter: number, over: Partial<DigestItem> = {}): ReplicaInput {
    const items = [{ ...item, counter, ...over }];
    return { kind: "message", from: PEER, message: { kind: "digest", round: 1, items } };
  }

  test("are stale until a peer's digest shows the same version in force", () => {
    const replica = restoredReplica();
    for (const vain of [digest(2), digest(3, { isInForce: false }), digest(4)]) replica.step(vain, 1);
    expect(replica.store.isStale(OTHER)).toBe(true);
    replica.step(digest(3), 2);
    expect(replica.store.isStale(OTHER)).toBe(false);
  });

  test("are stale until gossip or a delta takes them on, of a later start until that is in force", () => {
    const on = deltaOf(OTHER, { from: 3, to: 4 });
    const gossiped = restoredReplica();
    gossiped.step({ kind: "gossip", from: PEER, delta: on }, 1);
    expect(gossiped.store.isStale(OTHER)).toBe(false);
    const synced = restoredReplica();
    const deltas = (delta: HostDelta): ReplicaInput => {
      const message = { kind: "delta", round: 1, deltas: [delta], hasMore: true, isLacking: false } as const;
      return { kind: "message", from: PEER, message };
    };
    synced.step(deltas(deltaOf(OTHER, { from: 2, to: 3, head: 5 })), 1);
    expect(synced.store.isStale(OTHER)).toBe(true);
    const later = { incarnation: 6, startId: 6 };
    synced.step(deltas(deltaOf(OTHER, { start: later, to: 1, head: 2 })), 1);
    expect(synced.store.isStale(OTHER)).toBe(true);
    synced.step(deltas(deltaOf(OTHER, { start: later, from: 1, to: 2 })), 2);
    expect(synced.store.isStale(OTHER)).toBe(false);
  });

  test("are not taken, and counted, when they are not what their owner signed", () => {
    const replica = createReplica();
    const forged = { ...restored, head: { ...restored.head, completeAt: 2 } };
    const rotten = { ...restored, entries: restored.entries.map((entry) => ({ ...entry, value: null })) };
    const effects = replica.step({ kind: "restore", deltas: [forged, rotten] }, 0);
    expect(countersOf(effects)).toEqual(["snapshot-refused", "snapshot-refused"]);
    expect(replica.store.list("")).toEqual([]);
  });

  test("of ourselves are not taken; one that is above our start raises it, before anybody is told of it", () => {
    const replica = createReplica();
    const [below, above] = [9, 11].map((incarnation) =>
      deltaOf(SELF, { start: { incarnation, startId: 3 } }),
    );
    expect(describeEffects(replica.step({ kind: "restore", deltas: [below!, above!] }, 0))).toEqual([
      "persist 12",
    ]);
    expect(replica.store.list("")).toEqual([]);
  });
});
