// Planned faults: what shall strike before which event of a run, and what is tried where that finds nothing to break.

import { type Fault, type FaultName, LOOKING_FAULT_NAMES, strike } from "./faults.ts";
import type { SimCluster } from "./sim-cluster.ts";

/** There is no such run. */
export class NothingToStrike extends Error {}

export interface Planned {
  readonly faults: readonly Fault[];
  /** Where a single fault finds nothing to break: what is tried in its place, in turn. */
  readonly instead?: readonly FaultName[];
}

export class PlannedFaults {
  faults: readonly Fault[] | null;
  untried: readonly FaultName[];

  constructor({ faults, instead = [] }: Planned) {
    this.faults = faults;
    this.untried = instead;
  }

  strikeDue(cluster: SimCluster): void {
    const due = this.faults?.filter(({ atEvent }) => atEvent === cluster.events) ?? [];
    for (const fault of due)
      if (!strike(cluster, fault) && this.faults?.length === 1) this.#strikeInstead(cluster, fault);
  }

  /** All happened as it would have without the one that found nothing to break, save where to look for it changed something. */
  #strikeInstead(cluster: SimCluster, { kind: failed, atEvent }: Fault): void {
    let last = failed;
    while (!LOOKING_FAULT_NAMES.includes(last)) {
      const [kind, ...rest] = this.untried;
      if (kind === undefined) break;
      this.untried = rest;
      this.faults = [{ kind, atEvent }];
      if (strike(cluster, { kind, atEvent })) return;
      last = kind;
    }
    this.faults = null;
    throw new NothingToStrike();
  }
}
