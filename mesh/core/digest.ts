// Digest: what a store holds, in a few words for each owner, and what another's digest says about ours.

import type { HostState } from "./host-state.ts";
import type { OwnerId } from "./ids.ts";
import type { DigestItem } from "./message.ts";
import type { Store } from "./store.ts";
import { compareStarts, type Start } from "./version.ts";

/** Below every start. */
const NO_START: Start = { incarnation: 0, startId: 0 };

/** Items that were told before: of a thousand states hardly any changes between two digests. */
const told = new WeakMap<HostState, DigestItem>();

/** Of every owner the state in force and the one built aside, in this order: so an answer repairs the first before. */
export function digestOf(store: Store): readonly DigestItem[] {
  const items: DigestItem[] = [];
  for (const state of store.statesInForce.values()) if (!state.isDraft) items.push(itemOf(state, true));
  for (const state of store.statesAside.values()) items.push(itemOf(state, false));
  return items;
}

/** To pull one owner by. Never empty: who is listed with nothing is asked for whole, who is not listed is not asked for. */
export function digestOfOwner(store: Store, owner: OwnerId): readonly DigestItem[] {
  const items = heldOf(store, owner);
  return items.length > 0 ? items : [emptyItem(owner, NO_START)];
}

/** Our own state that is not announced is told to nobody, so there is nothing of it. */
function heldOf(store: Store, owner: OwnerId): readonly DigestItem[] {
  const { inForce, aside } = store.held(owner);
  const items: DigestItem[] = [];
  if (inForce !== undefined && !inForce.isDraft) items.push(itemOf(inForce, true));
  if (aside !== undefined) items.push(itemOf(aside, false));
  return items;
}

/** What is held of the owner of a stretch that we cannot take, also if that is nothing of its start. */
export function digestForGap(
  store: Store,
  { owner, start }: Pick<DigestItem, "owner" | "start">,
): readonly DigestItem[] {
  const held = heldOf(store, owner);
  const isKnown = held.some((item) => compareStarts(item.start, start) >= 0);
  return isKnown ? held : [...held, emptyItem(owner, start)];
}

/** An item that asks for the whole of a start of which nothing is held. */
function emptyItem(owner: OwnerId, start: Start): DigestItem {
  const nothing = { counter: 0, compacted: 0, checksum: 0 };
  return { owner, start, ...nothing, isInForce: false, wantsRepair: false };
}

function itemOf(state: HostState, isInForce: boolean): DigestItem {
  const known = told.get(state);
  const { owner, start, counter, compacted, checksum } = state;
  if (known?.counter === counter && known.compacted === compacted && known.isInForce === isInForce)
    return known;
  const item = { owner, start, counter, compacted, checksum, isInForce, wantsRepair: false };
  told.set(state, item);
  return item;
}

/** Both hold the same of this owner, in force. */
export function isSettled(item: DigestItem, state: HostState | undefined): boolean {
  if (state === undefined || item.wantsRepair) return false;
  return isSameVersion(item, state) && item.checksum === state.checksum;
}

function isMismatch(item: DigestItem, state: HostState): boolean {
  return isSameVersion(item, state) && item.checksum !== state.checksum;
}

/** In force on both sides; the values may differ. */
function isSameVersion(item: DigestItem, state: HostState): boolean {
  const isComparable = item.isInForce && !state.isDraft && item.counter === state.counter;
  return isComparable && compareStarts(item.start, state.start) === 0;
}

export interface DigestFindings {
  /** The other holds something that we lack. */
  readonly isLacking: boolean;
  /** States with the other's version but other values. */
  readonly mismatched: readonly OwnerId[];
  /** The other holds writes of ours that we did not do. */
  readonly isOwnAhead: boolean;
}

/** Reads the other's digest against our store. `self` is judged apart: nobody knows our state better. */
export function compareDigest(store: Store, items: readonly DigestItem[], self: OwnerId): DigestFindings {
  const mismatched: OwnerId[] = [];
  let [isLacking, isOwnAhead] = [false, false];
  for (const item of items) {
    const inForce = store.inForce(item.owner);
    if (isSettled(item, inForce)) continue;
    // Only what is in force there can be given to us: the rest is not checked.
    const isNews =
      item.isInForce && isAhead(item, inForce) && !store.forgotten.covers(item.owner, item.start);
    if (item.owner === self) isOwnAhead ||= isNews;
    else isLacking ||= isNews;
    if (inForce !== undefined && isMismatch(item, inForce)) mismatched.push(item.owner);
  }
  return { isLacking, mismatched, isOwnAhead };
}

function isAhead(item: DigestItem, state: HostState | undefined): boolean {
  if (state === undefined) return true;
  return (compareStarts(item.start, state.start) || item.counter - state.counter) > 0;
}
