// Harness of the replica's tests: one replica, signed stretches for it, and its effects as a transcript has them.

import type { Effect } from "../core/effect.ts";
import type { ForgetWord } from "../core/forget-entry.ts";
import { headBytes } from "../core/head.ts";
import { memberName, type OwnerId, ownerId } from "../core/ids.ts";
import type { HostDelta } from "../core/message.ts";
import { Replica } from "../core/replica.ts";
import type { ReplicaDeps } from "../core/replica-options.ts";
import type { TimerToken } from "../core/timers.ts";
import type { Start } from "../core/version.ts";
import { standInCrypto } from "./stand-in-crypto.ts";

export const SELF: OwnerId = ownerId("self");
export const PEER: OwnerId = ownerId("peer");
export const OTHER: OwnerId = ownerId("other");
export const VALUE: Uint8Array = new Uint8Array([1]);

export function depsOf(self: OwnerId): ReplicaDeps {
  return { random: () => 0.5, ...standInCrypto(self) };
}

export function createReplica(): Replica {
  return new Replica({ self: SELF, start: { incarnation: 10, startId: 1 } }, depsOf(SELF));
}

export function wordOn(owner: OwnerId, upTo: Start): ForgetWord {
  return { owner, upTo, name: memberName("gone") };
}

/** One line an effect, as a transcript has it. Counters are left out. */
export function describeEffects(effects: readonly Effect[]): readonly string[] {
  return effects.filter((effect) => effect.kind !== "count").map(describeEffect);
}

export function describeEffect(effect: Effect): string {
  switch (effect.kind) {
    case "publish": {
      const { from, to, head, entries } = effect.message.delta;
      return `publish (${from},${to}] complete@${head.completeAt} entries=${entries.length}`;
    }
    case "send":
      return `send ${effect.message.kind} to ${effect.to}`;
    case "schedule":
      return `schedule ${effect.token.purpose} in ${effect.delayMs}`;
    case "changed":
      return `changed ${effect.change.owner}/${effect.change.key} by ${effect.change.path}`;
    case "persist-incarnation":
      return `persist ${effect.incarnation}`;
    case "forgotten":
      return `forgotten ${effect.word.owner} up to ${effect.word.upTo.incarnation}`;
    case "sync-ended":
      return `sync ${effect.id} ended ${effect.isReached}`;
    case "twin":
      return `twin, ${effect.isYounger ? "we are" : "it is"} the younger`;
    case "count":
      return `count ${effect.counter}`;
  }
}

export function countersOf(effects: readonly Effect[]): readonly string[] {
  return effects.filter((effect) => effect.kind === "count").map((effect) => effect.counter);
}

interface DeltaPart {
  readonly start?: Start;
  readonly from?: number;
  readonly to?: number;
  /** The counter of its head; above `to`: it is cut. */
  readonly head?: number;
  readonly born?: Start;
  readonly raisedAbove?: number;
}

/** A stretch of an owner that writes the key "a" over and over, signed by it. */
export function deltaOf(owner: OwnerId, part: DeltaPart = {}): HostDelta {
  const { start = { incarnation: 5, startId: 5 }, from = 0, to = 1, head = to } = part;
  const { born = start, raisedAbove = 0 } = part;
  const { roots, sign } = standInCrypto(owner);
  const entryAt = (counter: number) => ({ owner, key: "a", value: VALUE, version: { ...start, counter } });
  const claim = { counter: head, completeAt: 1, born, raisedAbove, root: roots.rootOf([entryAt(head)]) };
  const signed = { ...claim, signature: sign(headBytes(owner, start, claim)) };
  const entries = to > from ? [entryAt(to)] : [];
  return { owner, start, from, to, head: signed, compacted: 0, isRepair: false, entries };
}

export function tokenOf(effects: readonly Effect[]): TimerToken {
  const schedule = effects.find((effect) => effect.kind === "schedule");
  if (schedule === undefined) throw new Error("nothing scheduled");
  return schedule.token;
}
