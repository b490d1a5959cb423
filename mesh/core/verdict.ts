// Verdict: what becomes of a stretch of history that arrived. Versions only move forward, and the new replaces the old
// whole: a start that is not the one in force is built aside.

import type { HostState } from "./host-state.ts";
import type { HostDelta } from "./message.ts";
import { compareStarts } from "./version.ts";

/** What is held of one owner. `aside` is a later start than the one in force, or the same one built anew. */
export interface HeldStates {
  readonly inForce: HostState | undefined;
  readonly aside: HostState | undefined;
}

/**
 * `old`: held already. `stale`: of an earlier start than the one in force: its sender must learn the newer.
 * `gap`: it begins after what is held: the range between must be asked for. `forgotten`: an operator removed its owner.
 */
export type IgnoreReason = "old" | "stale" | "gap" | "forgotten";

export type Verdict =
  /** To each of these: a state that is built anew aside goes on beside the one in force of the same start. */
  | { readonly kind: "apply"; readonly states: readonly HostState[] }
  /** Build aside, from nothing. */
  | { readonly kind: "reset" }
  /** Put in force at once: it is whole, and nothing is. What is built aside is left: it may be later, or never be whole. */
  | { readonly kind: "install" }
  | { readonly kind: "ignore"; readonly reason: IgnoreReason };

export function judge({ inForce, aside }: HeldStates, delta: HostDelta): Verdict {
  if (inForce !== undefined && compareStarts(delta.start, inForce.start) < 0) return ignore("stale");
  const newest = aside ?? inForce;
  const order = newest === undefined ? 1 : compareStarts(delta.start, newest.start);
  if (delta.isRepair) return judgeRepair(inForce, delta, order);
  const isWhole = delta.from === 0 && delta.to === delta.head.counter;
  if (inForce === undefined && isWhole) return { kind: "install" };
  const states = [inForce, aside].filter((state) => state !== undefined);
  const continued = states.filter((state) => continues(state, delta));
  if (continued.length > 0) return { kind: "apply", states: continued };
  if (order < 0) return ignore("old");
  // Of a start that is held, `from` 0 does not continue it only if tombstones were collected beyond what is held.
  return delta.from === 0 ? { kind: "reset" } : ignore("gap");
}

/** A late repair must not undo what came since. */
function judgeRepair(inForce: HostState | undefined, delta: HostDelta, order: number): Verdict {
  const isBehind =
    inForce !== undefined &&
    compareStarts(delta.start, inForce.start) === 0 &&
    delta.head.counter < inForce.counter;
  return order < 0 || isBehind ? ignore("old") : { kind: "reset" };
}

/** No gap, and no deletion missed: the sender's lost tombstones are below what we hold, or lost to us as well. */
function continues(state: HostState, delta: HostDelta): boolean {
  if (compareStarts(state.start, delta.start) !== 0 || delta.from > state.counter) return false;
  return delta.compacted <= state.counter || delta.compacted <= state.compacted;
}

function ignore(reason: IgnoreReason): Verdict {
  return { kind: "ignore", reason };
}
