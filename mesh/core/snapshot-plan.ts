// SnapshotPlan: what the disk lacks of the store. The disk is like a peer to which anti-entropy is owed: of each owner the
// start and counter that it holds are known, and what lies beyond them is what it gets next. Nothing waits in between: who
// changes faster than the disk is written skips what was replaced meanwhile.

import type { StoreView } from "../mesh.ts";
import { answerDigest, rotate } from "./delta.ts";
import type { HostState } from "./host-state.ts";
import { type OwnerId, ownerId } from "./ids.ts";
import type { DigestItem, HostDelta } from "./message.ts";
import type { Store } from "./store.ts";
import { compareStarts, type Start } from "./version.ts";

/** No member: no state is its own. */
const DISK = ownerId("disk");

/** What the disk holds of one owner: a whole state, with the head that its owner signed for it. */
export interface SnapshotMark {
  readonly owner: OwnerId;
  readonly start: Start;
  readonly counter: number;
  readonly compacted: number;
}

/** Made durable all together or not at all. */
export interface SnapshotBatch {
  /**
   * Each up to its head. A cut one would leave a state on disk that no signature covers: of no use at a load, and in the
   * place of one that is.
   */
  readonly deltas: readonly HostDelta[];
  /** Owners that the store has no more. */
  readonly removed: readonly OwnerId[];
  /** It was cut between owners: the next one can follow at once. */
  readonly hasMore: boolean;
}

export class SnapshotPlan {
  #marks = new Map<OwnerId, SnapshotMark>();
  #turn = 0;

  /**
   * What the disk holds. `trusted`: the store after it took the same over. Of what is not in force there just so (refused, or
   * our own from before) nothing may be continued; it is replaced, or removed.
   */
  begin(marks: readonly SnapshotMark[], trusted: StoreView): void {
    this.#marks = new Map(marks.map((mark) => [mark.owner, isHeld(mark, trusted) ? mark : nothingOf(mark)]));
  }

  /** The file was opened again: only what we know of is trusted, and what became of the last batch is for the file to say. */
  resume(marks: readonly SnapshotMark[]): void {
    const known = this.#marks;
    const isKnown = ({ owner, start, counter }: SnapshotMark): boolean => {
      const mark = known.get(owner);
      return mark !== undefined && compareStarts(mark.start, start) === 0 && mark.counter === counter;
    };
    this.#marks = new Map(marks.map((mark) => [mark.owner, isKnown(mark) ? mark : nothingOf(mark)]));
  }

  /** Undefined: the disk lacks nothing. `entriesMax` is passed only by the last of its owners, each of which is whole. */
  next(store: Store, entriesMax: number): SnapshotBatch | undefined {
    const removed = [...this.#marks.keys()].filter((owner) => store.inForce(owner) === undefined);
    const { items, hasMore } = this.#choose(store, entriesMax);
    if (items.length === 0 && removed.length === 0) return undefined;
    this.#turn += 1;
    const request = {
      asker: DISK,
      items,
      scope: "listed",
      bytesMax: Number.POSITIVE_INFINITY,
      turn: 0,
    } as const;
    return { deltas: answerDigest(store, request).deltas, removed, hasMore };
  }

  /** It is on disk. */
  confirm({ deltas, removed }: SnapshotBatch): void {
    for (const { owner, start, to: counter, compacted } of deltas) {
      this.#marks.set(owner, { owner, start, counter, compacted });
    }
    for (const owner of removed) this.#marks.delete(owner);
  }

  /** What the disk says of those of whom it lacks something; another owner is first each time, so that none is starved. */
  #choose(
    store: Store,
    entriesMax: number,
  ): { readonly items: readonly DigestItem[]; readonly hasMore: boolean } {
    const items: DigestItem[] = [];
    let entries = 0;
    for (const owner of rotate([...store.owners()], this.#turn)) {
      const state = store.inForce(owner);
      const item = state === undefined ? undefined : this.#lackedOf(state);
      if (state === undefined || item === undefined) continue;
      if (entries >= entriesMax) return { items, hasMore: true };
      items.push(item);
      entries += Math.min(state.size, state.counter - item.counter);
    }
    return { items, hasMore: false };
  }

  #lackedOf(state: HostState): DigestItem | undefined {
    // What its owner has not signed is shown to nobody, and the disk is like anybody.
    if (state.signed === undefined || state.isDraft) return undefined;
    const { owner, start } = state;
    const mark = this.#marks.get(owner);
    const isContinued =
      mark !== undefined && compareStarts(mark.start, start) === 0 && mark.counter <= state.counter;
    if (isContinued && mark.counter === state.counter) return undefined;
    const { counter, compacted } = isContinued ? mark : { counter: 0, compacted: 0 };
    return { owner, start, counter, compacted, checksum: 0, isInForce: true, wantsRepair: false };
  }
}

function isHeld({ owner, start, counter }: SnapshotMark, store: StoreView): boolean {
  const head = store.head(owner);
  return head !== undefined && compareStarts(head, start) === 0 && head.counter === counter;
}

function nothingOf({ owner }: SnapshotMark): SnapshotMark {
  return { owner, start: { incarnation: 0, startId: 0 }, counter: 0, compacted: 0 };
}
