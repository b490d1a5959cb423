// Why, holdings: who holds which version of a few entries, and how it came there: asked of all members, with the values of
// the newest.

import {
  compareVersions,
  type InspectedEntry,
  inspectEntries,
  type MemberView,
  type Mesh,
  type OwnerId,
} from "../../mesh/index.ts";

export interface MemberHoldings {
  readonly member: MemberView;
  /** Why it did not answer; null: it did. */
  readonly reason: string | null;
  readonly entries: readonly InspectedEntry[];
}

/** The newest version of one owner's entry that anybody holds. */
export interface NewestEntry {
  readonly entry: InspectedEntry;
  /** null: a tombstone, or its holder did not answer a second time. */
  readonly value: Uint8Array | null;
  /** Who holds it. */
  readonly holder: OwnerId;
}

/** Of every member, who does not answer as well. Rejects only when `signal` aborts. */
export function askHoldings(
  mesh: Mesh,
  keys: readonly string[],
  signal: AbortSignal,
): Promise<readonly MemberHoldings[]> {
  const ask = async (member: MemberView): Promise<MemberHoldings> => {
    const answer = await inspectEntries(mesh, member, { owners: null, keys, withValues: false }, signal);
    if (!answer.ok) return { member, reason: answer.error, entries: [] };
    return { member, reason: null, entries: answer.value.entries };
  };
  return Promise.all(mesh.members().map(ask));
}

/** By owner and key, in that order of first sight. */
export async function newestEntries(
  mesh: Mesh,
  holdings: readonly MemberHoldings[],
  signal: AbortSignal,
): Promise<readonly NewestEntry[]> {
  const newest = new Map<string, { readonly entry: InspectedEntry; readonly holder: MemberView }>();
  for (const { member: holder, entries } of holdings) {
    for (const entry of entries) {
      const known = newest.get(slotOf(entry));
      if (known === undefined || compareVersions(known.entry, entry) < 0)
        newest.set(slotOf(entry), { entry, holder });
    }
  }
  const rows = [...newest.values()].map(async ({ entry, holder }) => {
    const value = entry.bytes === null ? null : await fetchValue(mesh, entry, holder, signal);
    return { entry, value, holder: holder.owner };
  });
  return Promise.all(rows);
}

export function slotOf({ owner, key }: { readonly owner: OwnerId; readonly key: string }): string {
  return `${owner} ${key}`;
}

async function fetchValue(
  mesh: Mesh,
  { owner, key, ...version }: InspectedEntry,
  holder: MemberView,
  signal: AbortSignal,
): Promise<Uint8Array | null> {
  const own = mesh.store.get(owner, key);
  if (own !== undefined && compareVersions(own.version, version) === 0) return own.value;
  const question = { owners: [owner], keys: [key], withValues: true };
  const answer = await inspectEntries(mesh, holder, question, signal);
  return answer.ok ? (answer.value.entries[0]?.value ?? null) : null;
}
