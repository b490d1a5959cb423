// Delta: what the sender of a digest lacks, owner by owner in version order, cut at a byte budget on a valid prefix.

import type { Entry } from "../mesh.ts";
import { isSettled } from "./digest.ts";
import { entryBytesMax } from "./entry.ts";
import type { Head } from "./head.ts";
import type { HostState } from "./host-state.ts";
import type { OwnerId } from "./ids.ts";
import type { DigestItem, HostDelta } from "./message.ts";
import type { Store } from "./store.ts";
import { compareStarts } from "./version.ts";

/**
 * What one owner gets before the next has its turn: a small state is never starved by a large one
 * (chitchat issue 119: the largest backlog first starves the small).
 */
const QUANTUM_BYTES = 8 * 1024;
/** Owner id, start, counters and signed head of one host delta, as an upper bound. */
const HOST_DELTA_HEAD_BYTES = 384;

export interface DeltaRequest {
  /** Of its own state it gets no more than the first quantum: it has no use for more than the head. */
  readonly asker: OwnerId;
  readonly items: readonly DigestItem[];
  /** `all`: owners that are not listed are lacked whole. `listed`: they are not asked for. */
  readonly scope: "all" | "listed";
  readonly bytesMax: number;
  /** Which owner begins; grows with each answer, so that all get their turn. */
  readonly turn: number;
}

export interface DeltaAnswer {
  readonly deltas: readonly HostDelta[];
  readonly hasMore: boolean;
}

/** An owner's stretch while it is being filled. */
interface Cursor {
  readonly state: HostState;
  readonly head: Head;
  readonly from: number;
  readonly isRepair: boolean;
  readonly rest: Iterator<Entry>;
  readonly taken: Entry[];
  next: Entry | undefined;
}

export function answerDigest(store: Store, request: DeltaRequest): DeltaAnswer {
  const waiting = controlFirst(store, rotate(lackedStates(store, request), request.turn));
  const { cursors, bytesLeft } = openAll(waiting, request.bytesMax);
  const others = cursors.filter(({ state }) => state.owner !== request.asker);
  fill(others, bytesLeft);
  const isCut = cursors.length < waiting.length || others.some((cursor) => cursor.next !== undefined);
  return { deltas: cursors.map(toDelta), hasMore: isCut };
}

/** The first quantum of each, as many as the budget has room for: none is begun that would bring nobody further. */
function openAll(
  waiting: readonly Lacked[],
  bytesMax: number,
): { readonly cursors: readonly Cursor[]; readonly bytesLeft: number } {
  const cursors: Cursor[] = [];
  let bytesLeft = bytesMax;
  for (const lacked of waiting) {
    const room = bytesLeft - HOST_DELTA_HEAD_BYTES;
    if (room < 0) break;
    const cursor = openCursor(lacked);
    const spent = fillQuantum(cursor, Math.min(QUANTUM_BYTES, room), room);
    if (!hasNews(cursor)) break;
    cursors.push(cursor);
    bytesLeft = room - spent;
  }
  return { cursors, bytesLeft };
}

/** Gives every cursor a quantum more at a time until the budget or the entries end. */
function fill(cursors: readonly Cursor[], bytesMax: number): void {
  let bytesLeft = bytesMax;
  let open = cursors.filter((cursor) => cursor.next !== undefined);
  while (open.length > 0) {
    for (const cursor of open) {
      const spent = fillQuantum(cursor, Math.min(QUANTUM_BYTES, bytesLeft), bytesLeft);
      bytesLeft -= spent;
      if (spent === 0) return;
    }
    open = open.filter((cursor) => cursor.next !== undefined);
  }
}

/** Takes entries up to the quantum, at least one if the whole budget still has room for it. Returns the bytes spent. */
function fillQuantum(cursor: Cursor, quantum: number, bytesLeft: number): number {
  let spent = 0;
  while (cursor.next !== undefined) {
    const bytes = entryBytesMax(cursor.next);
    if (spent + bytes > (spent === 0 ? bytesLeft : quantum)) break;
    spent += bytes;
    cursor.taken.push(cursor.next);
    cursor.next = nextOf(cursor.rest);
  }
  return spent;
}

type Lacked = Pick<Cursor, "state" | "head" | "from" | "isRepair">;

function openCursor(lacked: Lacked): Cursor {
  const rest = lacked.state.entriesAfter(lacked.from);
  return { ...lacked, rest, taken: [], next: nextOf(rest) };
}

function nextOf(rest: Iterator<Entry>): Entry | undefined {
  const next = rest.next();
  return next.done === true ? undefined : next.value;
}

/** False for a cursor that the budget gave nothing: it would say nothing. */
function hasNews(cursor: Cursor): boolean {
  return cursor.next === undefined || cursor.taken.length > 0;
}

function toDelta({ state, head, from, isRepair, taken, next }: Cursor): HostDelta {
  const to = next === undefined ? state.counter : (taken.at(-1)?.version.counter ?? from);
  return {
    owner: state.owner,
    start: state.start,
    from,
    to,
    head,
    // More than it holds, if it was begun from a sender that had collected more: what lies beyond is not missing yet.
    compacted: Math.min(state.compacted, state.counter),
    isRepair,
    entries: taken,
  };
}

function lackedStates(store: Store, request: DeltaRequest): readonly Lacked[] {
  const { settled, others } = sortOut(store, request.items);
  const isAllSettled = others.size === 0 && settled.size === store.statesInForce.size;
  const isAll = request.scope === "all";
  if (isAll && isAllSettled) return [];
  const owners = isAll ? store.statesInForce.keys() : others.keys();
  const lacked: Lacked[] = [];
  for (const owner of owners) {
    const [same, more] = [settled.get(owner), others.get(owner) ?? []];
    if (same !== undefined && more.length === 0) continue;
    lacked.push(...lackedOf(store.inForce(owner), same === undefined ? more : [same, ...more]));
  }
  return lacked;
}

/** Owners of whom they hold what we hold, by far the most, and what they hold of all others. */
function sortOut(
  store: Store,
  items: readonly DigestItem[],
): {
  readonly settled: ReadonlyMap<OwnerId, DigestItem>;
  readonly others: ReadonlyMap<OwnerId, readonly DigestItem[]>;
} {
  const settled = new Map<OwnerId, DigestItem>();
  const others = new Map<OwnerId, DigestItem[]>();
  for (const item of items) {
    if (isSettled(item, store.inForce(item.owner))) {
      settled.set(item.owner, item);
      continue;
    }
    const listed = others.get(item.owner);
    if (listed === undefined) others.set(item.owner, [item]);
    else listed.push(item);
  }
  return { settled, others };
}

/** Of the state of ours in force, what `theirs` lacks: nothing, a continuation, or the whole. */
function lackedOf(state: HostState | undefined, theirs: readonly DigestItem[]): readonly Lacked[] {
  // Nothing is passed on that its owner has not signed, or not declared complete.
  const head = state?.signed;
  if (head === undefined || state?.isComplete !== true || state.isDraft) return [];
  const same = theirs.filter((item) => compareStarts(item.start, state.start) === 0);
  if (same.length === 0) {
    // A later start that is built aside there may never be: until then ours is what they lack.
    const isOutdated = theirs.some((item) => compareStarts(item.start, state.start) > 0 && item.isInForce);
    return isOutdated ? [] : [{ state, head, from: 0, isRepair: false }];
  }
  if (same.some((item) => item.wantsRepair)) return [{ state, head, from: 0, isRepair: true }];
  // What is aside continues both. At one counter the head alone is news to who has the entries aside.
  const aside = same.find((item) => !item.isInForce);
  if (aside !== undefined && aside.counter <= state.counter) return [continuation(state, head, aside)];
  // Aside they are further than we are, in force they are not.
  const inForce = same.find((item) => item.isInForce);
  if (inForce === undefined) return [{ state, head, from: 0, isRepair: false }];
  return inForce.counter < state.counter ? [continuation(state, head, inForce)] : [];
}

function continuation(state: HostState, head: Head, { counter, compacted }: DigestItem): Lacked {
  const canContinue = counter >= state.compacted || compacted >= state.compacted;
  return { state, head, from: canContinue ? counter : 0, isRepair: false };
}

/** Those that write control records, what everybody waits for, have the first turn. */
function controlFirst(store: Store, waiting: readonly Lacked[]): readonly Lacked[] {
  const [first, others] = [[] as Lacked[], [] as Lacked[]];
  for (const lacked of waiting) (store.writesControl(lacked.state.owner) ? first : others).push(lacked);
  return [...first, ...others];
}

/** Another one is first with each turn. */
export function rotate<Item>(list: readonly Item[], turn: number): readonly Item[] {
  const at = list.length === 0 ? 0 : turn % list.length;
  return [...list.slice(at), ...list.slice(0, at)];
}
