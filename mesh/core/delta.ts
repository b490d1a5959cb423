// Delta: what the sender of a digest lacks, owner by owner in version order, cut at a byte budget on a valid prefix.

import type { Entry } from "../mesh.ts";
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
  const cursors: Cursor[] = [];
  let bytesLeft = request.bytesMax;
  for (const lacked of waiting) {
    // Half at most for heads: a chunk that only begins stretches would bring nobody further.
    if (cursors.length > 0 && bytesLeft - HOST_DELTA_HEAD_BYTES < request.bytesMax / 2) break;
    bytesLeft -= HOST_DELTA_HEAD_BYTES;
    cursors.push(openCursor(lacked));
  }
  fill(cursors, bytesLeft);
  const deltas = cursors.filter(hasNews).map(toDelta);
  const isCut = cursors.length < waiting.length || cursors.some((cursor) => cursor.next !== undefined);
  return { deltas, hasMore: isCut };
}

/** Gives every cursor a quantum at a time until the budget or the entries end. */
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
    compacted: state.compacted,
    isRepair,
    entries: taken,
  };
}

function lackedStates(store: Store, request: DeltaRequest): readonly Lacked[] {
  const items = Map.groupBy(request.items, (item) => item.owner);
  const owners: Iterable<OwnerId> = request.scope === "all" ? store.owners() : items.keys();
  return [...owners].flatMap((owner) => lackedOf(store.held(owner).inForce, items.get(owner) ?? []));
}

/** Of the state of ours in force, what `theirs` lacks: nothing, a continuation, or the whole. */
function lackedOf(state: HostState | undefined, theirs: readonly DigestItem[]): readonly Lacked[] {
  // Nothing is passed on that its owner has not signed.
  const head = state?.signed;
  if (state === undefined || head === undefined || state.isDraft) return [];
  const same = theirs.filter((item) => compareStarts(item.start, state.start) === 0);
  const best = same.reduce<DigestItem | undefined>(furtherOf, undefined);
  if (best === undefined) {
    // A later start that is built aside there may never be: until then ours is what they lack.
    const isOutdated = theirs.some((item) => compareStarts(item.start, state.start) > 0 && item.isInForce);
    return isOutdated ? [] : [{ state, head, from: 0, isRepair: false }];
  }
  if (best.wantsRepair) return [{ state, head, from: 0, isRepair: true }];
  // At one counter the head alone is news to who has the entries aside.
  if (best.counter < state.counter + Number(!best.isInForce)) return [continuation(state, head, best)];
  // Aside they are further than we are, in force they are not.
  const inForce = same.find((item) => item.isInForce);
  if (inForce === undefined) return [{ state, head, from: 0, isRepair: false }];
  return inForce.counter < state.counter ? [continuation(state, head, inForce)] : [];
}

function continuation(state: HostState, head: Head, { counter, compacted }: DigestItem): Lacked {
  const canContinue = counter >= state.compacted || compacted >= state.compacted;
  return { state, head, from: canContinue ? counter : 0, isRepair: false };
}

function furtherOf(left: DigestItem | undefined, right: DigestItem): DigestItem {
  return left === undefined || right.counter > left.counter ? right : left;
}

/** Those that write control records, what everybody waits for, have the first turn. */
function controlFirst(store: Store, waiting: readonly Lacked[]): readonly Lacked[] {
  const [first, others] = [[] as Lacked[], [] as Lacked[]];
  for (const lacked of waiting) (store.writesControl(lacked.state.owner) ? first : others).push(lacked);
  return [...first, ...others];
}

function rotate<Item>(list: readonly Item[], turn: number): readonly Item[] {
  const at = list.length === 0 ? 0 : turn % list.length;
  return [...list.slice(at), ...list.slice(0, at)];
}
