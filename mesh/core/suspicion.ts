// Suspicion: how long a suspect has to object before it is held dead, and when too many are suspect to believe it. Pure sums.

import { CLOSED_SUSPICION_MS, SILENT_SUSPICION_MS, SUSPICION_STRETCH } from "../limits.ts";

/** Independent confirmations that bring a suspicion down to its shortest (Lifeguard's K). */
const CONFIRMATIONS = 3;

export interface SuspicionFacts {
  /** Members that count, ourselves among them. */
  readonly members: number;
  /** Who accuses it, ourselves perhaps among them. */
  readonly accusers: number;
  /** Its kernel refuses connections, as enough of the accusers found, and we have none. */
  readonly isClosed: boolean;
  /** Ours, 0 to 8. */
  readonly health: number;
  /** False: the shortest at once, as plain SWIM has it. */
  readonly isDynamic: boolean;
}

/**
 * Milliseconds from the first accusation to the death. Lifeguard's formula: from the longest with one accuser, by the logarithm
 * of the confirmations, to the shortest. What was closed by a kernel needs no patience, only time to object.
 */
export function suspicionMs({ members, accusers, isClosed, health, isDynamic }: SuspicionFacts): number {
  const confirmations = Math.min(CONFIRMATIONS, Math.max(0, accusers - 1));
  const shortest = isClosed
    ? CLOSED_SUSPICION_MS
    : SILENT_SUSPICION_MS * Math.max(1, Math.log10(members)) * (1 + health / 4);
  if (!isDynamic) return shortest;
  const longest = shortest * SUSPICION_STRETCH;
  const share = Math.log(confirmations + 1) / Math.log(CONFIRMATIONS + 1);
  return longest - (longest - shortest) * share;
}

/**
 * True when so many were lost at about one time that it is as likely we who are cut off: two at least, and half of all that
 * were there. Then nobody more is declared dead; only evidence, never a clock, lifts it.
 */
export function isMassDeath({ lost, alive }: { readonly lost: number; readonly alive: number }): boolean {
  return lost >= 2 && 2 * lost >= alive + lost;
}
