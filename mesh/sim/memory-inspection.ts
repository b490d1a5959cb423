// Memory inspection: what a MemoryMesh holds, made from its own states.

import { hashEntry, xorHashes } from "../core/entry.ts";
import { compareText, type OwnerId } from "../core/ids.ts";
import type { Arrivals } from "../io/arrivals.ts";
import type { Entry, Inspection, OwnerDigest } from "../mesh.ts";

interface HeldState {
  readonly incarnation: number;
  readonly startId: number;
  readonly counter: number;
  readonly complete: boolean;
  readonly entries: ReadonlyMap<string, Entry>;
}

export function memoryInspection(
  states: ReadonlyMap<OwnerId, HeldState>,
  arrivals: Arrivals,
  describe: () => readonly string[],
): Inspection {
  return {
    digests: () => {
      const told = [...states].filter(([, { complete, counter }]) => complete && counter > 0);
      const digests = told.map(([owner, state]) => digestOf(owner, state));
      return digests.sort((left, right) => compareText(left.owner, right.owner));
    },
    entriesOf: (owner) => {
      const entries = [...(states.get(owner)?.entries.values() ?? [])];
      return entries.sort((left, right) => left.version.counter - right.version.counter);
    },
    held: (owner, key) => states.get(owner)?.entries.get(key),
    // Nothing is signed in memory.
    signed: () => undefined,
    arrivalOf: (entry) => arrivals.of(entry),
    // It shares its event loop with the test.
    lagMs: () => 0,
    describe,
  };
}

function digestOf(owner: OwnerId, { incarnation, startId, counter, entries }: HeldState): OwnerDigest {
  const live = [...entries.values()].filter(({ value }) => value !== null);
  const checksum = live.reduce((sum, entry) => xorHashes(sum, hashEntry(entry)), 0);
  const version = { incarnation, startId, counter };
  return { owner, version, checksum, entries: live.length, isStale: false };
}
