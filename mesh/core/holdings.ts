// Holdings: what members hold, side by side: who lacks what of whom, and what two of them hold differently.

import type { OwnerDigest } from "../mesh.ts";
import type { InspectedEntry } from "../records/inspection.ts";
import { compareText, type OwnerId } from "./ids.ts";
import { compareStarts, compareVersions, type Version } from "./version.ts";

/** The newest of an owner's state that anybody holds. */
export interface Newest {
  readonly version: Version;
  /** The owner's own if it is among them, else that of most. */
  readonly checksum: number;
}

export interface Behind {
  readonly owner: OwnerId;
  /** null: it holds nothing of this owner. */
  readonly held: Version | null;
  readonly newest: Version;
  /** Of the newest start that it lacks: all, if it holds another start. */
  readonly writes: number;
}

/** By owner, over all digests. `owner` of a holding: the member that holds. */
export function newestOf(
  holdings: readonly { readonly owner: OwnerId; readonly digests: readonly OwnerDigest[] }[],
): ReadonlyMap<OwnerId, Newest> {
  const versions = new Map<OwnerId, Version>();
  for (const { digests } of holdings) {
    for (const { owner, version } of digests) {
      const known = versions.get(owner);
      if (known === undefined || compareVersions(known, version) < 0) versions.set(owner, version);
    }
  }
  const checksums = new Map<OwnerId, Map<number, number>>();
  for (const { owner: holder, digests } of holdings) {
    for (const { owner, version, checksum } of digests) {
      const newest = versions.get(owner);
      if (newest === undefined || compareVersions(newest, version) !== 0) continue;
      // Nobody knows an owner's state better than itself.
      count(checksums, owner, { checksum, votes: holder === owner ? Number.POSITIVE_INFINITY : 1 });
    }
  }
  return new Map(
    [...versions].map(([owner, version]) => [owner, { version, checksum: mostOf(checksums.get(owner)) }]),
  );
}

function count(
  counts: Map<OwnerId, Map<number, number>>,
  owner: OwnerId,
  { checksum, votes }: { readonly checksum: number; readonly votes: number },
): void {
  const byChecksum = counts.get(owner) ?? new Map<number, number>();
  counts.set(owner, byChecksum.set(checksum, (byChecksum.get(checksum) ?? 0) + votes));
}

function mostOf(counts: ReadonlyMap<number, number> = new Map()): number {
  const [most] = [...counts].sort(([, left], [, right]) => right - left);
  return most?.[0] ?? 0;
}

/** What who holds `digests` lacks of `newest`, by owner. */
export function behindOf(
  digests: readonly OwnerDigest[],
  newest: ReadonlyMap<OwnerId, Newest>,
): readonly Behind[] {
  const held = new Map(digests.map(({ owner, version }) => [owner, version]));
  const behind = [...newest].flatMap(([owner, { version }]) => {
    const own = held.get(owner) ?? null;
    if (own !== null && compareVersions(own, version) >= 0) return [];
    const isSameStart = own !== null && compareStarts(own, version) === 0;
    return [{ owner, held: own, newest: version, writes: version.counter - (isSameStart ? own.counter : 0) }];
  });
  return behind.sort((left, right) => compareText(left.owner, right.owner));
}

/** Owners of whom it holds the newest version with other values: a copy that is broken, and is repaired. */
export function mismatchedOf(
  digests: readonly OwnerDigest[],
  newest: ReadonlyMap<OwnerId, Newest>,
): readonly OwnerId[] {
  const isBroken = ({ owner, version, checksum }: OwnerDigest): boolean => {
    const reference = newest.get(owner);
    return (
      reference !== undefined &&
      compareVersions(reference.version, version) === 0 &&
      reference.checksum !== checksum
    );
  };
  return digests.filter(isBroken).map(({ owner }) => owner);
}

/** Owners of whom the two hold different things. */
export function differingOwners(
  left: readonly OwnerDigest[],
  right: readonly OwnerDigest[],
): readonly OwnerId[] {
  const digests = (side: readonly OwnerDigest[]) => new Map(side.map((digest) => [digest.owner, digest]));
  const [lefts, rights] = [digests(left), digests(right)];
  const owners = [...new Set([...lefts.keys(), ...rights.keys()])].sort(compareText);
  return owners.filter((owner) => !isSameDigest(lefts.get(owner), rights.get(owner)));
}

function isSameDigest(left: OwnerDigest | undefined, right: OwnerDigest | undefined): boolean {
  if (left === undefined || right === undefined) return false;
  return compareVersions(left.version, right.version) === 0 && left.checksum === right.checksum;
}

/** One key that the two hold differently; null: that side has nothing of it, not even a tombstone. */
export interface EntryDifference {
  readonly owner: OwnerId;
  readonly key: string;
  readonly left: InspectedEntry | null;
  readonly right: InspectedEntry | null;
  /** Whose version is higher; null: one version with two values. A side without the entry is older. */
  readonly newer: "left" | "right" | null;
}

/** By owner and key. A tombstone against nothing is no difference: tombstones are collected at different times. */
export function differencesOf(
  left: readonly InspectedEntry[],
  right: readonly InspectedEntry[],
): readonly EntryDifference[] {
  const [lefts, rights] = [bySlot(left), bySlot(right)];
  const slots = [...new Set([...lefts.keys(), ...rights.keys()])].sort(compareText);
  return slots.flatMap((slot) => differenceOf(lefts.get(slot) ?? null, rights.get(slot) ?? null) ?? []);
}

function bySlot(entries: readonly InspectedEntry[]): ReadonlyMap<string, InspectedEntry> {
  return new Map(entries.map((entry) => [slotOf(entry), entry]));
}

/** Owners have no spaces. */
function slotOf({ owner, key }: Pick<InspectedEntry, "owner" | "key">): string {
  return `${owner} ${key}`;
}

function differenceOf(left: InspectedEntry | null, right: InspectedEntry | null): EntryDifference | null {
  const either = left ?? right;
  if (either === null || isSame(left, right)) return null;
  const { owner, key } = either;
  return { owner, key, left, right, newer: newerOf(left, right) };
}

function isSame(left: InspectedEntry | null, right: InspectedEntry | null): boolean {
  if (left === null || right === null) return (left ?? right)?.bytes === null;
  return compareVersions(left, right) === 0 && left.hash === right.hash;
}

function newerOf(left: InspectedEntry | null, right: InspectedEntry | null): EntryDifference["newer"] {
  if (left === null || right === null) return left === null ? "right" : "left";
  const order = compareVersions(left, right);
  if (order === 0) return null;
  return order > 0 ? "left" : "right";
}

/**
 * Of the differences that two looks found, those that are no matter of a moment: the second look still finds the key, and
 * its older side has not come up to what the newer side had at the first.
 */
export function standing(
  first: readonly EntryDifference[],
  second: readonly EntryDifference[],
): readonly EntryDifference[] {
  const before = new Map(first.map((difference) => [slotOf(difference), difference]));
  return second.filter((difference) => {
    const earlier = before.get(slotOf(difference));
    if (earlier === undefined) return false;
    if (difference.newer === null || earlier.newer === null) return difference.newer === earlier.newer;
    const older = difference.newer === "left" ? difference.right : difference.left;
    const target = earlier.newer === "left" ? earlier.left : earlier.right;
    return older === null || target === null || compareVersions(older, target) < 0;
  });
}
