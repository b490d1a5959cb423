// Checkers: what must hold at every event, whatever fails (`single-writer`, `no-resurrection`, `no-empty-table`): each
// change that a replica tells is judged against the ledger and against what the same process told before.

import { compareVersions, describeVersion } from "../core/version.ts";
import type { Entry } from "../mesh.ts";
import type { Invariant, Violation } from "./invariants.ts";
import { findWrite, hasValue, isDeletedAfter, type Ledger, recordVanished, type Slot } from "./ledger.ts";
import type { SimMember } from "./sim-member.ts";

const NOTHING = -1;
const SLOTS_AT_FIRST = 1_024;
/** More say nothing new. */
const VIOLATIONS_MAX = 50;

export class Checkers {
  readonly violations: Violation[] = [];
  readonly #ledger: Ledger;
  /** By observer, then slot: the write that it was told last in this life. */
  readonly #told: Int32Array[];
  readonly #lives: number[];

  constructor(size: number, ledger: Ledger) {
    this.#ledger = ledger;
    this.#told = Array.from({ length: size }, () => new Int32Array(SLOTS_AT_FIRST).fill(NOTHING));
    this.#lives = Array.from({ length: size }, () => 0);
  }

  report(invariant: Invariant, atMs: number, text: string): void {
    if (this.violations.length < VIOLATIONS_MAX) this.violations.push({ invariant, atMs, text });
  }

  /** Returns the write that the change is, counted in its slot; undefined if there is none. */
  changed(observer: SimMember, change: Entry, atMs: number): { slot: Slot; index: number } | undefined {
    const slot = this.#ledger.slot(change.owner, change.key);
    const told = this.#toldOf(observer, slot.id);
    const index = this.#identify(slot, change);
    const what = (): string =>
      `${observer.name} has ${change.key} of ${change.owner.slice(-5)} at ${describeVersion(change.version)}`;
    if (index === NOTHING) {
      this.report("single-writer", atMs, `${what()}, which is not what its owner wrote then`);
      return undefined;
    }
    const before = told[slot.id] ?? NOTHING;
    told[slot.id] = index;
    if (before === NOTHING) return { slot, index };
    const last = slot.writes[before];
    if (last !== undefined && compareVersions(change.version, last.version) <= 0) {
      const isBack = last.value === null && change.value !== null;
      const then = `after ${describeVersion(last.version)}`;
      this.report(isBack ? "no-resurrection" : "single-writer", atMs, `${what()} ${then}`);
    }
    const isGone = change.value === null && last?.value !== null;
    if (isGone && !isDeletedAfter(slot, before)) {
      this.report("no-empty-table", atMs, `${what()} as deleted, which its owner never did`);
    }
    return { slot, index };
  }

  /** What this process was told last, for the sweep over its store. */
  lastTold(observer: SimMember, slot: Slot): Slot["writes"][number] | undefined {
    return slot.writes[this.#toldOf(observer, slot.id)[slot.id] ?? NOTHING];
  }

  #identify(slot: Slot, change: Entry): number {
    const index = findWrite(slot, change.version);
    const write = slot.writes[index];
    if (write === undefined) return change.value === null ? recordVanished(slot, change.version) : NOTHING;
    return hasValue(write, change.value) ? index : NOTHING;
  }

  #toldOf(observer: SimMember, slotId: number): Int32Array {
    const { index, life } = observer;
    let told = this.#told[index] as Int32Array;
    if (this.#lives[index] !== life) {
      this.#lives[index] = life;
      told.fill(NOTHING);
    }
    if (slotId >= told.length) {
      const wider = new Int32Array(Math.max(slotId + 1, told.length * 2)).fill(NOTHING);
      wider.set(told);
      this.#told[index] = wider;
      told = wider;
    }
    return told;
  }
}
