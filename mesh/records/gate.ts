// Gate: what the gate of a host confirms to the voters.

import type { AppName, VmName } from "../core/ids.ts";

/**
 * Where a gate stands on one app. A state, not an event: a later one replaces an earlier one whole, so that a lost or repeated one
 * does no harm.
 */
export interface GateStanding {
  readonly app: AppName;
  /**
   * The record of this epoch is on the gate's disk: a VM of its host to which that sends nothing gets no request any more, whoever
   * asks, also after a restart; until a later record says otherwise.
   */
  readonly epoch: number;
  /** VMs that were closed, with requests that still run there. One that is not named here has none. */
  readonly inFlight: readonly { readonly vm: VmName; readonly requests: number }[];
}
