// AcceptorDisk: what a voter remembers, in memory and on disk. Changes are in memory at once and on disk together: while one
// write is being synced all that comes waits for the next (group commit). Nobody is answered before `synced` says so.

import { EMPTY_SLOT, type Slot } from "../../register/acceptor.ts";
import { isVoterId, type VoterId, voterId } from "../../register/ballot.ts";
import type { RegisterName } from "../../register/certificate.ts";
import { decodeVote, encodeVote } from "../../register/register-codec.ts";
import { messageOf } from "../../result.ts";
import { DiskThread } from "../disk-thread.ts";
import type { AcceptorIdentity, AcceptorWrite, OpenedAcceptor, SlotRow } from "./acceptor-file.ts";
import type { AcceptorDiskRequest } from "./acceptor-worker.ts";

/** Rounds that are reserved with one sync. A restart skips what is left of them; there are 2^52. */
const ROUNDS_AT_ONCE = 1_000;

export interface AcceptorDiskOptions extends AcceptorIdentity {
  readonly path: string;
}

export class AcceptorDisk {
  readonly #thread: DiskThread<AcceptorDiskRequest, SlotRow, OpenedAcceptor | null> = new DiskThread(
    new URL("./acceptor-worker.ts", import.meta.url),
  );
  readonly #slots = new Map<RegisterName, Slot>();
  #dirty: Dirty = newDirty();
  #writing: Promise<void> | undefined;
  #voter: VoterId = voterId("");
  #links: readonly Uint8Array[] = [];
  /** Handed out. */
  #round = 0;
  /** On disk as used up. */
  #reservedRound = 0;

  /** Rejects with why, and what to do: a voter that cannot read its memory must not vote. */
  static async open(options: AcceptorDiskOptions): Promise<AcceptorDisk> {
    const disk = new AcceptorDisk();
    try {
      await disk.#load(options);
      return disk;
    } catch (error) {
      await disk.#thread.end();
      throw new Error(`${options.path}: ${messageOf(error)}`);
    }
  }

  private constructor() {}

  get voter(): VoterId {
    return this.#voter;
  }

  /** Links of voter lists as they were on disk at the start, oldest first. */
  get links(): readonly Uint8Array[] {
    return this.#links;
  }

  /** It has never promised, accepted or proposed anything. */
  get isBlank(): boolean {
    return this.#slots.size === 0 && this.#round === 0;
  }

  get slots(): ReadonlyMap<RegisterName, Slot> {
    return this.#slots;
  }

  /** As of now, on disk or on its way. */
  slot(register: RegisterName): Slot {
    return this.#slots.get(register) ?? EMPTY_SLOT;
  }

  putSlot(register: RegisterName, slot: Slot): void {
    this.#slots.set(register, slot);
    this.#dirty.slots.add(register);
  }

  putLink(number: number, link: Uint8Array): void {
    this.#dirty.links.set(number, link);
  }

  /** `count` rounds in a row above `above` and above all that were ever handed out. Rejects when the disk fails. */
  async rounds(above: number, count: number): Promise<number> {
    const first = Math.max(this.#round, above) + 1;
    this.#round = first + count - 1;
    if (this.#round > this.#reservedRound) {
      this.#dirty.reservedRound = Math.max(this.#dirty.reservedRound ?? 0, this.#round + ROUNDS_AT_ONCE);
      await this.synced();
    }
    return first;
  }

  /** Resolves when all that was put until now is on disk. Rejects when the disk fails: it is tried again with the next. */
  async synced(): Promise<void> {
    if (this.#writing !== undefined) await this.#writing.catch(() => undefined);
    // Whoever comes first writes what all others have put meanwhile.
    if (isClean(this.#dirty)) return this.#writing;
    this.#writing ??= this.#write();
    return this.#writing;
  }

  /** What is not on disk yet is written first, if the disk lets us. */
  async close(): Promise<void> {
    await this.synced().catch(() => undefined);
    if (this.#thread.isRunning) await this.#thread.ask({ kind: "close" }).catch(() => undefined);
    await this.#thread.end();
  }

  async #load({ path, ...identity }: AcceptorDiskOptions): Promise<void> {
    const rows: SlotRow[] = [];
    const opened = await this.#thread.ask({ kind: "open", path, identity }, (row) => rows.push(row));
    for (const row of rows) this.#take(row);
    if (opened === null || !isVoterId(opened.voter)) throw new Error("it names no voter");
    this.#voter = opened.voter;
    this.#links = opened.links;
    this.#round = opened.reservedRound;
    this.#reservedRound = opened.reservedRound;
  }

  #take(row: SlotRow): void {
    const vote = row.vote === null ? null : decodeVote(row.vote);
    if (vote?.ok === false)
      throw new Error(`what it accepted of ${row.register} cannot be read: ${vote.error}`);
    const promised = { round: row.round, proposer: voterId(row.proposer) };
    this.#slots.set(row.register, { promised, accepted: vote?.value ?? null });
  }

  async #write(): Promise<void> {
    const dirty = this.#dirty;
    this.#dirty = newDirty();
    try {
      await this.#thread.ask({ kind: "write", write: this.#writeOf(dirty) });
      this.#reservedRound = Math.max(this.#reservedRound, dirty.reservedRound ?? 0);
    } catch (error) {
      merge(this.#dirty, dirty);
      throw error;
    } finally {
      this.#writing = undefined;
    }
  }

  #writeOf({ slots, reservedRound, links }: Dirty): AcceptorWrite {
    return {
      slots: [...slots].map((register) => {
        const { promised, accepted } = this.slot(register);
        const vote = accepted === null ? null : encodeVote(accepted);
        return { register, round: promised.round, proposer: promised.proposer, vote };
      }),
      reservedRound,
      links: [...links].map(([number, link]) => ({ number, link })),
    };
  }
}

interface Dirty {
  readonly slots: Set<RegisterName>;
  readonly links: Map<number, Uint8Array>;
  reservedRound: number | null;
}

function newDirty(): Dirty {
  return { slots: new Set(), links: new Map(), reservedRound: null };
}

function isClean({ slots, links, reservedRound }: Dirty): boolean {
  return slots.size + links.size === 0 && reservedRound === null;
}

/** What could not be written is owed with what came since. */
function merge(into: Dirty, from: Dirty): void {
  for (const register of from.slots) into.slots.add(register);
  for (const [number, link] of from.links) if (!into.links.has(number)) into.links.set(number, link);
  if (from.reservedRound !== null) into.reservedRound = Math.max(into.reservedRound ?? 0, from.reservedRound);
}
