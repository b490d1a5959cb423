// HostState: what is held of one start of one owner. Entries stand in version order and only newer ones are added, so a
// state is always a prefix of its owner's history: all that was true at `counter`, without what was replaced since.

import type { Entry } from "../mesh.ts";
import { hashEntry, xorHashes } from "./entry.ts";
import type { Head } from "./head.ts";
import type { OwnerId } from "./ids.ts";
import { compareVersions, type Start, type Version } from "./version.ts";

export class HostState {
  readonly owner: OwnerId;
  readonly start: Start;
  /** Insertion order is version order: `put` moves a rewritten key to the end. */
  readonly #entries = new Map<string, Entry>();
  #counter = 0;
  #compacted = 0;
  #signed: Head | undefined;
  #checksum = 0;
  #liveCount = 0;
  /** Our own, not announced yet: nobody hears of it. */
  isDraft: boolean = false;

  constructor(owner: OwnerId, start: Start) {
    this.owner = owner;
    this.start = { incarnation: start.incarnation, startId: start.startId };
  }

  /** All changes up to here are held. */
  get counter(): number {
    return this.#counter;
  }
  /** Tombstones at or below it may be gone; who holds less than this cannot be continued, only reset. */
  get compacted(): number {
    return this.#compacted;
  }
  /** Signed by the owner at this very counter, and its root is that of our entries; undefined: not checked here yet. */
  get signed(): Head | undefined {
    return this.#signed?.counter === this.#counter ? this.#signed : undefined;
  }
  /** May be in force: its owner declared it complete, and all that it says of it is checked (`no-empty-table`). */
  get isComplete(): boolean {
    const { signed } = this;
    return signed !== undefined && this.#counter >= signed.completeAt;
  }
  /** Exclusive or of all live entries' hashes; tombstones do not count. */
  get checksum(): number {
    return this.#checksum;
  }
  get head(): Version {
    return { ...this.start, counter: this.#counter };
  }
  /** Live entries and tombstones. */
  get size(): number {
    return this.#entries.size;
  }
  get liveCount(): number {
    return this.#liveCount;
  }

  get(key: string): Entry | undefined {
    return this.#entries.get(key);
  }

  /** All entries, tombstones too, in version order. */
  entries(): Iterable<Entry> {
    return this.#entries.values();
  }

  *entriesAfter(counter: number): Generator<Entry> {
    if (counter >= this.#counter) return;
    for (const entry of this.#entries.values()) if (entry.version.counter > counter) yield entry;
  }

  /** Adds an entry that is newer than all held. Asserts it: versions only move forward. */
  put(entry: Entry): void {
    if (compareVersions(entry.version, this.head) <= 0) throw new Error("bug: host state went back");
    const replaced = this.#entries.get(entry.key);
    if (replaced !== undefined) this.#drop(replaced);
    this.#entries.set(entry.key, entry);
    this.#checksum = xorHashes(this.#checksum, hashEntry(entry));
    this.#liveCount += entry.value === null ? 0 : 1;
    this.#counter = entry.version.counter;
  }

  /** Nothing changed between `counter` and this: what was there was replaced by what is held or yet to come. */
  advance(counter: number): void {
    this.#counter = Math.max(this.#counter, counter);
  }

  /** The owner's word on this state as it stands; it is void with the next write. */
  sign(head: Head): void {
    if (head.counter !== this.#counter) throw new Error("bug: head of another version");
    this.#signed = head;
  }

  /** A copy that goes on apart; entries are shared. Its head is not: it is to be checked anew. */
  fork(): HostState {
    const copy = new HostState(this.owner, this.start);
    for (const entry of this.#entries.values()) copy.put(entry);
    copy.#counter = this.#counter;
    copy.#compacted = this.#compacted;
    return copy;
  }

  /** For a state that is built from a compacted one: it lacks the same tombstones. */
  inheritCompacted(counter: number): void {
    this.#compacted = Math.max(this.#compacted, counter);
  }

  /** Collects tombstones up to `counter`; raises the compacted version to the last one that went, if that `isSafe`. */
  compact(counter: number, isSafe = true): number {
    let collected = 0;
    for (const entry of this.#entries.values()) {
      if (entry.version.counter > counter) break;
      if (entry.value !== null) continue;
      this.#entries.delete(entry.key);
      if (isSafe) this.#compacted = Math.max(this.#compacted, entry.version.counter);
      collected += 1;
    }
    return collected;
  }

  describe(): string {
    const complete = this.#signed === undefined ? "unsigned" : `complete@${this.#signed.completeAt}`;
    return `${this.start.incarnation}.${this.#counter} ${complete} live=${this.#liveCount} compacted=${this.#compacted}`;
  }

  #drop(entry: Entry): void {
    this.#entries.delete(entry.key);
    this.#checksum = xorHashes(this.#checksum, hashEntry(entry));
    this.#liveCount -= entry.value === null ? 0 : 1;
  }
}
