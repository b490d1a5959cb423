// Memory state: what a MemoryMesh holds of one owner, and its store as readers see it.

import { compareEntries } from "../core/entry.ts";
import type { OwnerId } from "../core/ids.ts";
import { ENTRY_KEY_BYTES_MAX, ENTRY_VALUE_BYTES_MAX } from "../limits.ts";
import type { Entry, StoreView } from "../mesh.ts";

export interface OwnerState {
  readonly incarnation: number;
  readonly startId: number;
  counter: number;
  /** Peers take no state that is not complete: `no-empty-table`. */
  complete: boolean;
  readonly entries: Map<string, Entry>;
}

export function storeView(states: ReadonlyMap<OwnerId, OwnerState>): StoreView {
  return {
    get: (owner, key) => {
      const entry = states.get(owner)?.entries.get(key);
      return entry?.value == null ? undefined : entry;
    },
    list: (prefix) => {
      const all = [...states.values()].flatMap((state) => [...state.entries.values()]);
      const live = all.filter((entry) => entry.value !== null && entry.key.startsWith(prefix));
      return live.sort(compareEntries);
    },
    // It has no disk.
    isStale: () => false,
    head: (owner) => {
      const state = states.get(owner);
      if (state === undefined) return undefined;
      return { incarnation: state.incarnation, startId: state.startId, counter: state.counter };
    },
  };
}

export function assertBounds(key: string, value: Uint8Array | null): void {
  if (new TextEncoder().encode(key).length > ENTRY_KEY_BYTES_MAX)
    throw new Error("write: key over its bound");
  if (value !== null && value.length > ENTRY_VALUE_BYTES_MAX) throw new Error("write: value over its bound");
}
