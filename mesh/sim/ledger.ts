// Ledger: every write that an owner did, as the owner's own replica told it: what observers are judged against.

import type { OwnerId } from "../core/ids.ts";
import { compareVersions, type Version } from "../core/version.ts";
import type { Entry } from "../mesh.ts";

export interface LedgerWrite {
  readonly version: Version;
  /** Null: deleted. */
  readonly value: Uint8Array | null;
  /** Its owner meant it: not only gone with an earlier start. */
  readonly isMeant: boolean;
}

/** One key of one owner, with all its writes in the order in which they were done. */
export interface Slot {
  /** Dense: an index into observers' lists. */
  readonly id: number;
  readonly owner: OwnerId;
  readonly key: string;
  readonly writes: LedgerWrite[];
}

export class Ledger {
  readonly #owners = new Map<OwnerId, Map<string, Slot>>();
  #slots = 0;

  slot(owner: OwnerId, key: string): Slot {
    const slots = this.#owners.get(owner) ?? new Map<string, Slot>();
    this.#owners.set(owner, slots);
    const slot = slots.get(key) ?? { id: this.#slots++, owner, key, writes: [] };
    slots.set(key, slot);
    return slot;
  }

  slots(): readonly Slot[] {
    return [...this.#owners.values()].flatMap((slots) => [...slots.values()]);
  }

  /** Of an owner's own change. */
  record({ owner, key, version, value }: Entry): void {
    this.slot(owner, key).writes.push({ version, value, isMeant: true });
  }
}

/** The write with this version, counted from the oldest; -1: nobody did it. */
export function findWrite({ writes }: Slot, version: Version): number {
  return writes.findLastIndex((write) => compareVersions(write.version, version) === 0);
}

/**
 * A key that ended with an earlier start is told as deleted at the later start's version: not a write, but the newest word
 * on the key.
 */
export function recordVanished({ writes }: Slot, version: Version): number {
  return writes.push({ version, value: null, isMeant: false }) - 1;
}

export function hasValue(write: LedgerWrite, value: Uint8Array | null): boolean {
  return isSameBytes(write.value, value);
}

/** As the core's own, but fast with large values: the checks compare each that is told. */
export function isSameBytes(left: Uint8Array | null, right: Uint8Array | null): boolean {
  return left === right || (left !== null && right !== null && Buffer.compare(left, right) === 0);
}

/** Whether the owner deleted the key after the write at `index`. */
export function isDeletedAfter({ writes }: Slot, index: number): boolean {
  return writes.some((write, at) => at > index && write.isMeant && write.value === null);
}
