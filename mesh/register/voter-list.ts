// Voter list: the numbered set of voters whose majority keeps every register. It changes by one voter at a time, so that a
// majority of one list meets every majority of the next; and it changes again only once all registers were committed under
// the new one, so that no list can be left out in between.

import type { MemberName, OwnerId } from "../core/ids.ts";
import { VOTERS_MAX } from "../limits.ts";
import { fail, ok, type Result } from "../result.ts";
import type { VoterId } from "./ballot.ts";

export interface Voter {
  readonly id: VoterId;
  /** Whose key signs for it. */
  readonly owner: OwnerId;
  readonly name: MemberName;
}

export interface VoterList {
  /** 1, 2, …: each change is the next; a restored list may skip some. */
  readonly number: number;
  /** In order of rank: of two that want the same the first waits less. */
  readonly voters: readonly Voter[];
  /** Every register was committed under it: the next change may follow. */
  readonly isSettled: boolean;
}

export type VoterChange =
  | { readonly kind: "add"; readonly voter: Voter }
  | { readonly kind: "remove"; readonly id: VoterId };

export function majorityOf(list: { readonly voters: readonly unknown[] }): number {
  return Math.floor(list.voters.length / 2) + 1;
}

export function voterOf(list: Pick<VoterList, "voters">, id: VoterId): Voter | undefined {
  return list.voters.find((voter) => voter.id === id);
}

/** 0, 1, …; those that are none come last. */
export function rankOf(list: VoterList, id: VoterId): number {
  const rank = list.voters.findIndex((voter) => voter.id === id);
  return rank === -1 ? list.voters.length : rank;
}

/** The next list, or why there can be none now. */
export function changeVoters(
  list: VoterList,
  change: VoterChange,
  { needsSettled = true }: { readonly needsSettled?: boolean } = {},
): Result<VoterList> {
  if (needsSettled && !list.isSettled) {
    return fail(`voter list ${list.number} is not settled: not all registers were committed under it yet`);
  }
  const voters = change.kind === "add" ? added(list, change.voter) : removed(list, change.id);
  return voters.ok ? ok({ number: list.number + 1, voters: voters.value, isSettled: false }) : voters;
}

function added({ voters }: VoterList, voter: Voter): Result<readonly Voter[]> {
  const twin = voters.find(
    ({ id, owner, name }) => id === voter.id || owner === voter.owner || name === voter.name,
  );
  if (twin !== undefined) return fail(`${voter.name} is a voter already (${twin.id} of ${twin.name})`);
  if (voters.length >= VOTERS_MAX) return fail(`there are ${VOTERS_MAX} voters: more only make it slower`);
  return ok([...voters, voter]);
}

function removed({ voters }: VoterList, id: VoterId): Result<readonly Voter[]> {
  if (!voters.some((voter) => voter.id === id)) return fail(`no voter has the id ${id}`);
  if (voters.length === 1) return fail("the last voter cannot be removed: add another one first");
  return ok(voters.filter((voter) => voter.id !== id));
}

/** Whether `next` may follow: the same set with one voter more or less, or the same list, settled. */
export function follows(next: VoterList, list: VoterList): boolean {
  if (!isSound(next)) return false;
  if (next.number === list.number) return next.isSettled && isSameSet(next, list);
  if (next.number !== list.number + 1 || next.isSettled) return false;
  const [small, large] = next.voters.length < list.voters.length ? [next, list] : [list, next];
  return large.voters.length === small.voters.length + 1 && small.voters.every((voter) => has(large, voter));
}

/** Somebody is in it, not too many, and nobody twice: who counts twice makes a majority of less than one. */
function isSound({ voters }: VoterList): boolean {
  const isDistinct = (of: (voter: Voter) => string) => new Set(voters.map(of)).size === voters.length;
  const isBounded = voters.length > 0 && voters.length <= VOTERS_MAX;
  return (
    isBounded &&
    isDistinct(({ id }) => id) &&
    isDistinct(({ owner }) => owner) &&
    isDistinct(({ name }) => name)
  );
}

/** The same voters, however they are known. */
export function isSameList(left: VoterList, right: VoterList): boolean {
  return left.number === right.number && isSameSet(left, right);
}

function isSameSet(left: VoterList, right: VoterList): boolean {
  return left.voters.length === right.voters.length && left.voters.every((voter) => has(right, voter));
}

function has({ voters }: VoterList, { id, owner, name }: Voter): boolean {
  return voters.some((voter) => voter.id === id && voter.owner === owner && voter.name === name);
}

/** `list 3 (host-1 host-2 host-4)`. */
export function describeVoterList({ number, voters, isSettled }: VoterList): string {
  const names = voters.map(({ name }) => name).join(" ");
  return `list ${number} (${names})${isSettled ? "" : ", not settled"}`;
}
