import { describe, expect, test } from "vitest";
import { RAISE_INTERVAL_MS, RAISES_AT_ONCE_MAX } from "../limits.ts";
import {
  countersOf,
  createReplica,
  deltaOf,
  depsOf,
  describeEffect,
  describeEffects,
  PEER,
  SELF,
  VALUE,
} from "../sim/replica-harness.ts";
import type { Effect, ReplicaInput } from "./effect.ts";
import type { OwnerId } from "./ids.ts";
import type { ReplicaMessage } from "./message.ts";
import { Replica } from "./replica.ts";

describe("our own entries at a version that we did not write", () => {
  test("make us raise our incarnation, on disk first, and write all again", () => {
    const replica = createReplica();
    replica.step({ kind: "write", key: "a", value: VALUE }, 0);
    replica.step({ kind: "announce" }, 0);
    replica.step({ kind: "peer-connected", peer: PEER }, 0);
    const foreign = deltaOf(SELF, { start: { incarnation: 12, startId: 3 } });
    const message = {
      kind: "delta",
      round: 99,
      deltas: [foreign],
      hasMore: false,
      isLacking: false,
    } as const;
    expect(describeEffects(replica.step({ kind: "message", from: PEER, message }, 1))).toEqual([
      "persist 13",
    ]);
    expect(replica.step({ kind: "message", from: PEER, message }, 2)).toEqual([]);
    expect(replica.ownVersion("a")?.incarnation).toBe(10);
    const persisted = { kind: "incarnation-persisted", incarnation: 13, startId: 4 } as const;
    expect(describeEffects(replica.step(persisted, 3))).toEqual([
      "changed self/a by own",
      "publish (0,1] complete@1 entries=1",
    ]);
    expect(replica.ownVersion("a")).toEqual({ incarnation: 13, startId: 4, counter: 1 });
  });

  test("are not believed when our key did not sign them", () => {
    const replica = createReplica();
    replica.step({ kind: "peer-connected", peer: PEER }, 0);
    const foreign = deltaOf(SELF, { start: { incarnation: 12, startId: 3 } });
    const head = { ...foreign.head, counter: 9 };
    const message = {
      kind: "delta",
      round: 99,
      deltas: [{ ...foreign, head }],
      hasMore: false,
      isLacking: false,
    } as const;
    expect(countersOf(replica.step({ kind: "message", from: PEER, message }, 1))).toEqual([
      "refused-signature",
    ]);
  });

  test("that a digest claims are asked for, since a digest is not signed", () => {
    const replica = createReplica();
    replica.step({ kind: "peer-connected", peer: PEER }, 0);
    const item = {
      owner: SELF,
      start: { incarnation: 12, startId: 3 },
      counter: 1,
      compacted: 0,
      checksum: 0,
      isInForce: true,
      wantsRepair: false,
    };
    const message = { kind: "digest", round: 7, items: [item] } as const;
    expect(describeEffects(replica.step({ kind: "message", from: PEER, message }, 1))).toContain(
      "send pull to peer",
    );
  });

  test("are heard of before we announced, and told by a peer that only shows them", () => {
    const replica = createReplica();
    const peer = new Replica({ self: PEER, start: { incarnation: 10, startId: 2 } }, depsOf(PEER));
    const past = deltaOf(SELF, { start: { incarnation: 12, startId: 3 } });
    peer.step({ kind: "gossip", from: PEER, delta: past }, 0);
    replica.step({ kind: "peer-connected", peer: PEER }, 0);
    const sent = (effects: readonly Effect[], kind: ReplicaMessage["kind"]): readonly ReplicaMessage[] =>
      effects.flatMap((effect) =>
        effect.kind === "send" && effect.message.kind === kind ? [effect.message] : [],
      );
    const told = (to: Replica, from: OwnerId, messages: readonly ReplicaMessage[]): readonly Effect[] =>
      messages.flatMap((message) => to.step({ kind: "message", from, message }, 1));
    // Our own digest is lost on its way.
    const digests = sent(peer.step({ kind: "peer-connected", peer: SELF }, 0), "digest");
    const pulls = sent(told(replica, PEER, digests), "pull");
    const answers = sent(told(peer, SELF, pulls), "delta");
    expect(describeEffects(told(replica, PEER, answers))).toEqual(["persist 13"]);
  });

  test("left by many earlier lives make us raise a few times at once, and then now and then", () => {
    const replica = createReplica();
    let incarnation = 10;
    const conflict = (nowMs: number): boolean => {
      const delta = deltaOf(SELF, { start: { incarnation: incarnation + 1, startId: 3 } });
      const effects = replica.step({ kind: "gossip", from: PEER, delta }, nowMs);
      const persist = effects.find((effect) => effect.kind === "persist-incarnation");
      if (persist === undefined) return false;
      incarnation = persist.incarnation;
      replica.step({ kind: "incarnation-persisted", incarnation, startId: incarnation }, nowMs);
      return true;
    };
    const atOnce = Array.from({ length: 100 }, () => conflict(0)).filter(Boolean);
    expect(atOnce).toHaveLength(RAISES_AT_ONCE_MAX);
    expect(conflict(RAISE_INTERVAL_MS - 1)).toBe(false);
    expect(conflict(RAISE_INTERVAL_MS)).toBe(true);
    expect(conflict(RAISE_INTERVAL_MS + 1)).toBe(false);
  });
});

describe("another process that runs with our key", () => {
  /** All that both publish reaches the other, as it would through any third member. */
  function runTwins(): { readonly lines: readonly string[]; readonly silent: readonly boolean[] } {
    const twins = [10, 11].map((incarnation) => {
      const start = { incarnation, startId: incarnation };
      return new Replica({ self: SELF, start }, depsOf(SELF));
    });
    const lines: string[] = [];
    const queue: { readonly to: number; readonly input: ReplicaInput }[] = [];
    let startId = 100;
    const step = (at: number, input: ReplicaInput): readonly Effect[] => {
      const effects = twins[at]!.step(input, 0);
      for (const effect of effects) {
        if (effect.kind === "twin" || effect.kind === "persist-incarnation")
          lines.push(`${at}: ${describeEffect(effect)}`);
        if (effect.kind === "publish")
          queue.push({ to: 1 - at, input: { kind: "gossip", from: PEER, delta: effect.message.delta } });
        if (effect.kind !== "persist-incarnation") continue;
        startId += 1;
        const { incarnation } = effect;
        queue.push({ to: at, input: { kind: "incarnation-persisted", incarnation, startId } });
      }
      return effects;
    };
    for (const at of [0, 1]) {
      step(at, { kind: "write", key: "a", value: VALUE });
      step(at, { kind: "announce" });
    }
    let inputs = 0;
    for (let next = queue.shift(); next !== undefined && inputs < 100; next = queue.shift()) {
      inputs += 1;
      step(next.to, next.input);
    }
    const silent = [0, 1].map((at) => {
      const effects = step(at, { kind: "write", key: "b", value: VALUE });
      return !effects.some((effect) => effect.kind === "publish" || effect.kind === "schedule");
    });
    return { lines, silent };
  }

  test("is found by both, and the younger is silent from then on", () => {
    expect(runTwins()).toEqual({
      lines: [
        // It may have been an earlier life of ours: above it.
        "0: persist 12",
        // Whoever goes above a start of this process lives, and was born before it.
        "1: twin, we are the younger",
      ],
      silent: [false, true],
    });
  });
});
