// Disk: what a voter's process puts is in its memory at once and on its disk with a sync that takes time, as
// mesh/io/register/acceptor-disk.ts does it: while one write is being synced all that comes waits for the next. A crash takes what was
// put and not synced; a write under way is on disk whole, or not at all.

import { EMPTY_SLOT, type Slot } from "../../register/acceptor.ts";
import type { VoterId } from "../../register/ballot.ts";
import type { RegisterName, Vote } from "../../register/certificate.ts";
import type { Clock } from "./clock.ts";

/** Rounds that are reserved with one sync. */
const ROUNDS_AT_ONCE = 1_000;
const SYNC_MS_MIN = 0.5;
const SYNC_MS_MAX = 6;

/** What outlives the process. */
export interface Durable {
  readonly voter: VoterId;
  readonly slots: Map<RegisterName, Slot>;
  /** By the number under which it was put: in the order in which they are learnt. */
  readonly links: Map<number, Uint8Array>;
  reservedRound: number;
  /** A sync takes so many times as long. */
  slowness: number;
}

export function emptyDisk(voter: VoterId): Durable {
  return { voter, slots: new Map(), links: new Map(), reservedRound: 0, slowness: 1 };
}

/** A vote, as it comes to be on disk. What another replaced within one sync counts too: it was answered for. */
export type OnDurable = (register: RegisterName, vote: Vote) => void;

/** What one sync brings to the disk, and who waits for it. */
interface Batch {
  readonly slots: Set<RegisterName>;
  readonly links: Map<number, Uint8Array>;
  readonly votes: { readonly register: RegisterName; readonly vote: Vote }[];
  reservedRound: number | null;
  readonly waiting: (() => void)[];
}

interface Writing {
  readonly batch: Batch;
  /** As they were when the write began. */
  readonly slots: readonly (readonly [RegisterName, Slot])[];
}

export class Disk {
  readonly #clock: Clock;
  readonly #durable: Durable;
  readonly #onDurable: OnDurable;
  readonly #slots: Map<RegisterName, Slot>;
  #batch: Batch = newBatch();
  #writing: Writing | null = null;
  /** Handed out. */
  #round: number;
  #isUp = true;

  constructor(clock: Clock, durable: Durable, onDurable: OnDurable) {
    this.#clock = clock;
    this.#durable = durable;
    this.#onDurable = onDurable;
    this.#slots = new Map(durable.slots);
    this.#round = durable.reservedRound;
  }

  get voter(): VoterId {
    return this.#durable.voter;
  }

  /** As they were on disk at the start, oldest first. */
  get links(): readonly Uint8Array[] {
    return [...this.#durable.links].sort(([left], [right]) => left - right).map(([, link]) => link);
  }

  get slots(): ReadonlyMap<RegisterName, Slot> {
    return this.#slots;
  }

  slot(register: RegisterName): Slot {
    return this.#slots.get(register) ?? EMPTY_SLOT;
  }

  putSlot(register: RegisterName, slot: Slot): void {
    const { accepted } = slot;
    if (accepted !== null && accepted !== this.slot(register).accepted)
      this.#batch.votes.push({ register, vote: accepted });
    this.#slots.set(register, slot);
    this.#batch.slots.add(register);
  }

  putLink(number: number, link: Uint8Array): void {
    this.#batch.links.set(number, link);
  }

  /** Gives the first of `count` rounds in a row above `above` and all that were ever handed out, once they are on disk as used. */
  rounds(above: number, count: number, then: (first: number) => void): void {
    const before = this.#round;
    const first = Math.max(before, above) + 1;
    this.#round = first + count - 1;
    // All but those of the last operation: after a restart the next one has them again.
    if (this.#clock.isBroken("ballot-reuse")) this.#durable.reservedRound = before;
    if (this.#round <= this.#durable.reservedRound || this.#clock.isBroken("ballot-reuse")) {
      then(first);
      return;
    }
    this.#batch.reservedRound = Math.max(this.#batch.reservedRound ?? 0, this.#round + ROUNDS_AT_ONCE);
    this.synced(() => then(first));
  }

  /** When all that was put until now is on disk. */
  synced(then: () => void): void {
    const isDirty = !isClean(this.#batch);
    const pending = isDirty ? this.#batch : this.#writing?.batch;
    if (pending === undefined) then();
    else pending.waiting.push(then);
    if (isDirty && this.#writing === null) this.#write();
  }

  /** Null: nothing was lost. */
  crash(): { readonly votes: number } | null {
    this.#isUp = false;
    // The machine may have got as far as that.
    if (this.#writing !== null && this.#clock.chance(0.5)) {
      this.#apply(this.#writing);
      this.#writing = null;
    }
    const lost = [this.#writing?.batch, this.#batch].filter((batch) => batch !== undefined);
    if (lost.every(isClean)) return null;
    return { votes: lost.reduce((sum, { votes }) => sum + votes.length, 0) };
  }

  #write(): void {
    const batch = this.#batch;
    this.#batch = newBatch();
    const writing = { batch, slots: [...batch.slots].map((name) => [name, this.slot(name)] as const) };
    this.#writing = writing;
    const syncMs = this.#clock.between(SYNC_MS_MIN, SYNC_MS_MAX) * this.#durable.slowness;
    this.#clock.after(syncMs, () => this.#written(writing));
  }

  #written(writing: Writing): void {
    if (!this.#isUp) return;
    this.#apply(writing);
    this.#writing = null;
    if (!isClean(this.#batch)) this.#write();
    for (const then of writing.batch.waiting) then();
  }

  #apply({ batch, slots }: Writing): void {
    const durable = this.#durable;
    for (const [register, slot] of slots) durable.slots.set(register, slot);
    for (const [number, link] of batch.links) durable.links.set(number, link);
    durable.reservedRound = Math.max(durable.reservedRound, batch.reservedRound ?? 0);
    for (const { register, vote } of batch.votes) this.#onDurable(register, vote);
  }
}

function newBatch(): Batch {
  return { slots: new Set(), links: new Map(), votes: [], reservedRound: null, waiting: [] };
}

function isClean({ slots, links, reservedRound }: Batch): boolean {
  return slots.size + links.size === 0 && reservedRound === null;
}
