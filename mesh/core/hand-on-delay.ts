// Hand-on delay: when a member hands on a gossip message that it has from its owner, the same in io/gossip.ts and in the simulator.

import { HAND_ON_MAX_MS, HAND_ON_MIN_MS, HAND_ON_SHARE } from "../limits.ts";

/**
 * Milliseconds from now; undefined: others do it. `isFull`: the owner could be connected to everybody. `random`: in [0, 1).
 * Who has it from another hands it on at once.
 */
export function handOnDelayMs(isFull: boolean, random: () => number): number | undefined {
  if (isFull && random() >= HAND_ON_SHARE) return undefined;
  return HAND_ON_MIN_MS + random() * (HAND_ON_MAX_MS - HAND_ON_MIN_MS);
}
