// Diff view: what one member holds and another does not, or differently, entry by entry.

import {
  describeVersion,
  type EntryDifference,
  fail,
  type InspectedEntry,
  inspectDifference,
  inspectEntries,
  type MemberName,
  type MemberView,
  type Mesh,
  type OwnerId,
  ok,
  type Result,
} from "../../mesh/index.ts";
import { OwnerNames, type VersionView, viewVersion } from "./names.ts";
import { shortValue } from "./short-value.ts";

/** Differences that are told; beyond, their number. What people read, and the keys that one question may name. */
const DIFFERENCES_MAX = 500;

interface SideView {
  readonly version: VersionView;
  readonly deleted: boolean;
  readonly bytes: number;
  /** A few words; null: deleted, or not to be had. */
  readonly value: string | null;
}

interface DifferenceView {
  readonly key: string;
  readonly owner: OwnerId;
  readonly name: MemberName | null;
  /** What each holds; null: nothing. */
  readonly a: SideView | null;
  readonly b: SideView | null;
  /** Who holds the newer version; null: one version, two values. */
  readonly newer: "a" | "b" | null;
}

export interface DiffView {
  readonly a: MemberName;
  readonly b: MemberName;
  readonly equal: boolean;
  /** Owners whose states were compared. */
  readonly owners: number;
  readonly count: number;
  readonly differences: readonly DifferenceView[];
  /** Not all could be compared, or not all are shown. */
  readonly truncated: boolean;
}

/** Fails with the name of who does not answer. */
export async function viewDifference(
  mesh: Mesh,
  { a, b }: { readonly a: MemberView; readonly b: MemberView },
  signal: AbortSignal,
): Promise<Result<DiffView>> {
  const found = await inspectDifference(mesh, { left: a, right: b }, signal);
  if (!found.ok) return fail(found.error);
  const { entries, owners, isCut } = found.value;
  const shown = entries.slice(0, DIFFERENCES_MAX);
  const [aValues, bValues] = await Promise.all([
    valuesOf(mesh, a, shown, signal),
    valuesOf(mesh, b, shown, signal),
  ]);
  const names = OwnerNames.of(mesh);
  const differences = shown.map(({ owner, key, left, right, newer }) => {
    const facts = { key, owner, name: names.name(owner) };
    const sides = { a: viewSide(left, aValues), b: viewSide(right, bValues) };
    return { ...facts, ...sides, newer: newer && NEWER[newer] };
  });
  const truncated = isCut || shown.length < entries.length;
  const equal = entries.length === 0 && !isCut;
  return ok({ a: a.name, b: b.name, equal, owners, count: entries.length, differences, truncated });
}

const NEWER = { left: "a", right: "b" } as const;

type Values = ReadonlyMap<string, Uint8Array>;

/** As it has them now; a value whose version changed meanwhile is left out. */
async function valuesOf(
  mesh: Mesh,
  member: MemberView,
  differences: readonly EntryDifference[],
  signal: AbortSignal,
): Promise<Values> {
  if (differences.length === 0) return new Map();
  const owners = [...new Set(differences.map(({ owner }) => owner))];
  const keys = [...new Set(differences.map(({ key }) => key))];
  const answer = await inspectEntries(mesh, member, { owners, keys, withValues: true }, signal);
  if (!answer.ok) return new Map();
  return new Map(
    answer.value.entries.flatMap((entry) => (entry.value === null ? [] : [[slotOf(entry), entry.value]])),
  );
}

function slotOf(entry: InspectedEntry): string {
  return `${entry.owner} ${entry.key} ${describeVersion(entry)}`;
}

function viewSide(entry: InspectedEntry | null, values: Values): SideView | null {
  if (entry === null) return null;
  const value = values.get(slotOf(entry));
  return {
    version: viewVersion(entry),
    deleted: entry.bytes === null,
    bytes: entry.bytes ?? 0,
    value: value === undefined ? null : shortValue(entry.key, value),
  };
}
