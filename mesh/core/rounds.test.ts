import { describe, expect, test } from "vitest";
import { ROUNDS_AT_ONCE_MAX } from "../limits.ts";
import { createReplica, describeEffects, PEER } from "../sim/replica-harness.ts";
import type { Effect } from "./effect.ts";
import { ownerId } from "./ids.ts";

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
