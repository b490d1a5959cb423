// Store inspection: what the libp2p mesh's store holds, for who looks for a fault.

import { compareText, type OwnerId } from "../core/ids.ts";
import type { Store } from "../core/store.ts";
import type { Arrival, Entry, Inspection, OwnerDigest, SignedState } from "../mesh.ts";
import type { Arrivals } from "./arrivals.ts";

export interface StoreInspectionDeps {
  readonly store: Store;
  readonly arrivals: Arrivals;
  readonly lagMs: () => number;
  readonly describe: () => readonly string[];
}

export class StoreInspection implements Inspection {
  readonly #deps: StoreInspectionDeps;

  constructor(deps: StoreInspectionDeps) {
    this.#deps = deps;
  }

  digests(): readonly OwnerDigest[] {
    const { store } = this.#deps;
    const told = [...store.statesInForce.values()].filter(({ isDraft, counter }) => !isDraft && counter > 0);
    const digests = told.map(({ owner, head: version, checksum, liveCount: entries }) => {
      return { owner, version, checksum, entries, isStale: store.isStale(owner) };
    });
    return digests.sort((left, right) => compareText(left.owner, right.owner));
  }

  entriesOf(owner: OwnerId): Iterable<Entry> {
    return this.#deps.store.inForce(owner)?.entries() ?? [];
  }

  held(owner: OwnerId, key: string): Entry | undefined {
    return this.#deps.store.inForce(owner)?.get(key);
  }

  signed(owner: OwnerId): SignedState | undefined {
    const state = this.#deps.store.inForce(owner);
    const head = state?.signed;
    if (state === undefined || head === undefined || state.isDraft || !state.isComplete) return undefined;
    return {
      owner,
      start: state.start,
      head,
      entries: [...state.entries()].filter(({ value }) => value !== null),
    };
  }

  arrivalOf(entry: Pick<Entry, "owner" | "key" | "version">): Arrival | null {
    return this.#deps.arrivals.of(entry);
  }

  lagMs(): number {
    return this.#deps.lagMs();
  }

  describe(): readonly string[] {
    return this.#deps.describe();
  }
}
