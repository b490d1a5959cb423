// HostState: what is held of one start of one owner. Entries stand in version order and only newer ones are added, so a
// state is always a prefix of its owner's history: all that was true at `counter`, without what was replaced since.

import type { Entry } from "../mesh.ts";
import { hashEntry, xorHashes } from "./entry.ts";
import type { OwnerId } from "./ids.ts";
import { compareVersions, type Start, type Version } from "./version.ts";

export class HostState {
  readonly owner: OwnerId;
  readonly start: Start;
  /** Insertion order is version order: `put` moves a rewritten key to the end. */
  readonly #entries = new Map<string, Entry>();
  #counter = 0;
  #compacted = 0;
  #completeAt = 0;
  #exactFrom = 0;
  #checksum = 0;
  #liveCount = 0;

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
  /** The owner declared this start complete at this counter; 0: not yet, as far as we know. */
  get completeAt(): number {
    return this.#completeAt;
  }
  /**
   * Below this counter values may be missing: a cut delta leaves out what its sender had replaced later, beyond the cut.
   */
  get exactFrom(): number {
    return this.#exactFrom;
  }
  get isExact(): boolean {
    return this.#counter >= this.#exactFrom;
  }
  /** May be in force: its owner declared it complete, and we hold all of that (`no-empty-table`). */
  get isComplete(): boolean {
    return this.#completeAt > 0 && this.#counter >= this.#completeAt && this.isExact;
  }
  /** Exclusive or of all live entries' hashes; tombstones do not count. Comparable between exact states only. */
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

  learnCompleteAt(counter: number): void {
    this.#completeAt = Math.max(this.#completeAt, counter);
  }

  learnExactFrom(counter: number): void {
    this.#exactFrom = Math.max(this.#exactFrom, counter);
  }

  /** For a state that is built from a compacted one: it lacks the same tombstones. */
  inheritCompacted(counter: number): void {
    this.#compacted = Math.max(this.#compacted, counter);
  }

  /** Collects tombstones up to `counter`; raises the compacted version to the last one that went. */
  compact(counter: number): number {
    let collected = 0;
    for (const entry of this.#entries.values()) {
      if (entry.version.counter > counter) break;
      if (entry.value !== null) continue;
      this.#entries.delete(entry.key);
      this.#compacted = Math.max(this.#compacted, entry.version.counter);
      collected += 1;
    }
    return collected;
  }

  describe(): string {
    const complete = this.#completeAt === 0 ? "incomplete" : `complete@${this.#completeAt}`;
    return `${this.start.incarnation}.${this.#counter} ${complete} live=${this.#liveCount} compacted=${this.#compacted}`;
  }

  #drop(entry: Entry): void {
    this.#entries.delete(entry.key);
    this.#checksum = xorHashes(this.#checksum, hashEntry(entry));
    this.#liveCount -= entry.value === null ? 0 : 1;
  }
}
