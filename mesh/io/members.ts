// Members: who the store says there is, folded from the member entries, and who of them is connected.

import type { Logger } from "pino";
import type { MemberName, OwnerId } from "../core/ids.ts";
import { decodeMember, MEMBER_KEY, type MemberRecord } from "../core/member.ts";
import type { Store } from "../core/store.ts";
import type { Entry, MemberLiveness, MemberView } from "../mesh.ts";

/** An entry never changes, so it is decoded once: each member that joins makes all be looked at (measured: a third). */
const records = new WeakMap<Entry, MemberRecord>();

export interface MembersView {
  /** Ourselves first, then by name. */
  readonly shown: readonly MemberView[];
  /** Owners that are not shown: another of the same name has the better claim to it. */
  readonly superseded: readonly MemberView[];
}

export interface MembersObserver {
  readonly self: OwnerId;
  readonly isConnected: (owner: OwnerId) => boolean;
  readonly livenessOf: (owner: OwnerId) => MemberLiveness;
}

export function viewMembers(store: Store, observer: MembersObserver): MembersView {
  const shown = new Map<MemberName, MemberView>();
  const superseded: MemberView[] = [];
  for (const owner of store.owners()) {
    const member = viewMember(store, owner, observer);
    if (member === undefined) continue;
    const other = shown.get(member.name);
    const isBetter = other === undefined || compareClaims(member, other) > 0;
    if (isBetter) shown.set(member.name, member);
    if (other !== undefined) superseded.push(isBetter ? other : member);
  }
  return { shown: [...shown.values()].sort(compareMembers), superseded };
}

/** Owners that another of their name hides: each is logged once. */
export class HiddenMembers {
  readonly #logged = new Set<OwnerId>();

  log(superseded: readonly MemberView[], logger: Logger): void {
    for (const { name, owner, incarnation } of superseded) {
      if (this.#logged.has(owner)) continue;
      this.#logged.add(owner);
      logger.warn({ name, owner, incarnation }, "two members have one name, this one is not shown");
    }
  }
}

/**
 * Who is there before who is not: incarnations of two owners are of two clocks, and one that was ahead must not hide, from
 * others and from itself, who lives under the name of a member that lost its disk.
 */
function compareClaims(left: MemberView, right: MemberView): number {
  return Number(left.connected) - Number(right.connected) || left.incarnation - right.incarnation;
}

function viewMember(
  store: Store,
  owner: OwnerId,
  { self, isConnected, livenessOf }: MembersObserver,
): MemberView | undefined {
  const entry = store.get(owner, MEMBER_KEY);
  const record = entry && recordOf(entry);
  if (entry === undefined || record === undefined) return undefined;
  const { name, role, addresses } = record;
  const isSelf = owner === self;
  const { incarnation } = entry.version;
  const connected = isSelf || isConnected(owner);
  return { owner, name, role, addresses, incarnation, connected, liveness: livenessOf(owner), self: isSelf };
}

function recordOf(entry: Entry): MemberRecord | undefined {
  const known = records.get(entry);
  if (known !== undefined || entry.value === null) return known;
  const record = decodeMember(entry.value);
  if (!record.ok) return undefined;
  records.set(entry, record.value);
  return record.value;
}

/** Ourselves first, then by name. */
export function compareMembers(left: MemberView, right: MemberView): number {
  return Number(right.self) - Number(left.self) || (left.name < right.name ? -1 : 1);
}
