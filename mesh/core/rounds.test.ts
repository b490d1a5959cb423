import { describe, expect, test } from "vitest";
import { ROUNDS_AT_ONCE_MAX } from "../limits.ts";
import { createReplica, deltaOf, describeEffects, OTHER, PEER } from "../sim/replica-harness.ts";
import type { Effect, ReplicaInput } from "./effect.ts";
import { ownerId } from "./ids.ts";
import type { DigestItem, ReplicaMessage } from "./message.ts";
import type { Replica } from "./replica.ts";

describe("many peers that come at once", () => {
  test("are asked a few at a time, each when one before has answered", () => {
    const replica = createReplica();
    const peers = Array.from({ length: 3 * ROUNDS_AT_ONCE_MAX }, (_, at) => ownerId(`peer-${at}`));
    const asked = (effects: readonly Effect[]): readonly string[] =>
      effects.flatMap((effect) => (effect.kind === "send" ? [effect.to] : []));
    const first = peers.flatMap((peer) => asked(replica.step({ kind: "peer-connected", peer }, 0)));
    expect(first).toEqual(peers.slice(0, ROUNDS_AT_ONCE_MAX));
    for (const [at, peer] of peers.entries()) {
      const message = { kind: "delta", round: at + 1, deltas: [], hasMore: false, isLacking: false } as const;
      const next = peers.slice(at + ROUNDS_AT_ONCE_MAX, at + ROUNDS_AT_ONCE_MAX + 1);
      expect(asked(replica.step({ kind: "message", from: peer, message }, 1))).toEqual(next);
    }
  });

  test("do not keep waiting who asked for a sync", () => {
    const replica = createReplica();
    const peers = Array.from({ length: ROUNDS_AT_ONCE_MAX + 1 }, (_, at) => ownerId(`peer-${at}`));
    for (const peer of peers) replica.step({ kind: "peer-connected", peer }, 0);
    const last = peers.at(-1) ?? PEER;
    expect(describeEffects(replica.step({ kind: "sync", peer: last, id: 1 }, 0))).toEqual([
      `send digest to ${last}`,
    ]);
  });
});

describe("whoever shows more than we hold", () => {
  const MORE: DigestItem = {
    owner: OTHER,
    start: { incarnation: 5, startId: 5 },
    counter: 3,
    compacted: 0,
    checksum: 1,
    isInForce: true,
    wantsRepair: false,
  };

  function connectedTo(peers: readonly ReturnType<typeof ownerId>[]) {
    const replica = createReplica();
    for (const peer of peers) replica.step({ kind: "peer-connected", peer }, 0);
    const answered = (round: number, from = PEER): readonly Effect[] => {
      const message = { kind: "delta", round, deltas: [], hasMore: false, isLacking: false } as const;
      return replica.step({ kind: "message", from, message }, 1);
    };
    /** What a digest that shows more is answered. */
    const told = () => {
      const message = { kind: "digest", round: 7, items: [MORE] } as const;
      const effects = replica.step({ kind: "message", from: PEER, message }, 1);
      const sent = effects.flatMap((effect) => (effect.kind === "send" ? [effect.message] : []));
      return sent.map((one) => (one.kind === "delta" ? `lacking=${one.isLacking}` : one.kind));
    };
    const step = (input: ReplicaInput) => replica.step(input, 1);
    return { answered, told, step };
  }

  test("is asked once, and told that we lack it until it answered without bringing it: then we refuse it", () => {
    const { answered, told } = connectedTo([PEER]);
    answered(1);
    expect(told()).toEqual(["lacking=true", "digest"]);
    expect(told()).toEqual(["lacking=true"]);
    answered(2);
    expect(told()).toEqual(["lacking=false"]);
  });

  test("is told that we lack it while our question waits for its turn", () => {
    const others = Array.from({ length: ROUNDS_AT_ONCE_MAX }, (_, at) => ownerId(`peer-${at}`));
    const { told } = connectedTo([...others, PEER]);
    expect(told()).toEqual(["lacking=true"]);
    expect(told()).toEqual(["lacking=true"]);
  });

  test("is asked in its turn, also if a gap was asked of it meanwhile", () => {
    const others = Array.from({ length: ROUNDS_AT_ONCE_MAX }, (_, at) => ownerId(`peer-${at}`));
    const { told, step, answered } = connectedTo([...others, PEER]);
    expect(told()).toEqual(["lacking=true"]);
    const delta = deltaOf(OTHER, { from: 3, to: 4, head: 4 });
    expect(describeEffects(step({ kind: "gossip", from: PEER, delta }))).toEqual(["send pull to peer"]);
    expect(told()).toEqual(["lacking=true"]);
    expect(describeEffects(answered(1, others[0]))).toEqual(["send digest to peer"]);
  });
});

describe("what came as it was not signed, of an owner of whom nothing is held", () => {
  test("is pulled whole", () => {
    const [replica, holder] = [createReplica(), createReplica()];
    replica.step({ kind: "peer-connected", peer: PEER }, 0);
    holder.step({ kind: "peer-connected", peer: PEER }, 0);
    holder.step({ kind: "gossip", from: OTHER, delta: deltaOf(OTHER) }, 0);
    const wrong = { ...deltaOf(OTHER), entries: [] };
    const answer = { kind: "delta", round: 1, deltas: [wrong], hasMore: false, isLacking: false } as const;
    /** The replica's answer to what PEER says. */
    const answerTo = (message: ReplicaMessage, by: Replica): ReplicaMessage => {
      const [sent] = by
        .step({ kind: "message", from: PEER, message }, 1)
        .flatMap((effect) => (effect.kind === "send" ? [effect.message] : []));
      if (sent === undefined) throw new Error("nothing sent");
      return sent;
    };
    const pulled = answerTo(answerTo(answer, replica), holder);
    const effects = replica.step({ kind: "message", from: PEER, message: pulled }, 2);
    expect(describeEffects(effects)).toContain("changed other/a by sync");
  });
});
