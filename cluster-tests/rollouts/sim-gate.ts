// Sim gate: the real gate of one host over a disk that can be lost, or be written when its process is gone already. What it confirmed
// is noted outside of it: no restart of its own makes that forgotten.

import assert from "node:assert/strict";
import type { AppRecord, CommittedApp, GateStanding, MemberName, VmName } from "../../mesh/index.ts";
import { type FlightId, Gate, type GateInput, type Refusal } from "../../proxy-agent/core/gate.ts";
import { isOpenBy } from "../../proxy-agent/core/reached-vms.ts";
import type { BreakName } from "./breaks.ts";
import { SIM_APP } from "./sim-driver.ts";
import type { SimTime } from "./sim-time.ts";

/** What a crash leaves of what was on its way to the disk: nothing of it, all of it, or not even what was there before. */
export type DiskFate = "lost" | "written" | "blank";

interface Disk {
  record: CommittedApp | null;
  isOpened: boolean;
  /** The one before: what a gate would remember that forgets its last closing. */
  before: CommittedApp | null;
}

export interface SimGateDeps {
  readonly host: MemberName;
  readonly time: SimTime;
  readonly broken: BreakName | null;
  /** The record of an epoch that was committed. */
  readonly recordOf: (epoch: number) => AppRecord;
  /** These are ended now: their VM was given all the time it had. */
  readonly onCut: (flights: readonly FlightId[]) => void;
}

export class SimGate {
  readonly #deps: SimGateDeps;
  readonly #disk: Disk = { record: null, isOpened: false, before: null };
  #gate: Gate;
  /** On its way to the disk. */
  #writing: { record: CommittedApp | null; isOpened: boolean } = { record: null, isOpened: false };
  /** The newest epoch that it confirmed, as it said on disk. */
  #confirmed = 0;
  #held: CommittedApp | null = null;
  /** Told to the voters last, and what would be told now; undefined: it may be another. */
  #told = "";
  #news: GateStanding | null | undefined;
  isUp = true;
  /** +1 with each start. */
  lives = 0;

  constructor(deps: SimGateDeps) {
    this.#deps = deps;
    this.#gate = new Gate({ host: deps.host });
  }

  /** As one that has served with this record all along. */
  restore(record: CommittedApp): void {
    Object.assign(this.#disk, { record, isOpened: true });
    this.start();
  }

  get epoch(): number {
    return this.#gate.epochOf(SIM_APP);
  }
  get held(): CommittedApp | null {
    return this.#held;
  }
  get isBlank(): boolean {
    return this.isUp && !this.#gate.isOpen;
  }
  get isWriting(): boolean {
    return this.isUp && (this.#writing.record !== null || this.#writing.isOpened);
  }
  get isSound(): boolean {
    return this.isUp && this.#gate.isOpen;
  }

  isOpenFor(vm: VmName): boolean {
    return this.isUp && this.#gate.isOpenFor(SIM_APP, vm);
  }

  /** It confirmed a record that sends nothing to this VM, for no page either, and none that does since. */
  hasClosed(vm: VmName): boolean {
    if (this.#confirmed === 0) return false;
    const record = this.#deps.recordOf(this.#confirmed);
    const isOpen = isOpenBy(record);
    return !record.vms.some(
      (desired) => desired.vm === vm && desired.host === this.#deps.host && isOpen(desired),
    );
  }

  /** A certified record, from its agent or a proxy. */
  take(committed: CommittedApp): void {
    if (committed.epoch > this.epoch) this.#held = committed;
    this.#step({ type: "record", committed });
  }

  /** Its agent has what a majority had after it said that it was blank. */
  current(): void {
    this.#step({ type: "current" });
  }

  /** What was on its way to the disk is there. */
  sync(): void {
    const { record } = this.#writing;
    this.#write();
    if (record !== null) this.#step({ type: "persisted", app: SIM_APP, epoch: record.epoch });
  }

  request(flight: FlightId, vm: VmName, epoch: number): Refusal | null {
    this.#news = undefined;
    const [effect] = this.#gate.step(
      { type: "request", flight, app: SIM_APP, vm, epoch },
      this.#deps.time.nowMs,
    );
    if (effect?.type === "refuse") return effect.why;
    const isClosed = epoch < this.#confirmed && this.hasClosed(vm);
    assert.ok(
      !isClosed,
      `no-dispatch-to-closed: a request by epoch ${epoch} is let through to ${vm}, which ${this.#deps.host} had confirmed closed at epoch ${this.#confirmed}`,
    );
    return null;
  }

  ended(flight: FlightId): void {
    this.#step({ type: "ended", flight });
  }

  crash(fate: DiskFate): void {
    this.isUp = false;
    if (fate === "written") this.#write();
    this.#writing = { record: null, isOpened: false };
    if (fate === "blank") Object.assign(this.#disk, { record: null, before: null, isOpened: false });
  }

  start(): void {
    this.isUp = true;
    this.lives += 1;
    this.#gate = new Gate({ host: this.#deps.host });
    const { record, before, isOpened } = this.#disk;
    const read = this.#deps.broken === "gate-memory" ? (before ?? record) : record;
    this.#held = read;
    this.#told = "";
    this.#step({ type: "restored", apps: read === null ? [] : [read], isOpened });
  }

  /** What it has not told the voters yet, or null. */
  news(): GateStanding | null {
    if (!this.isUp) return null;
    if (this.#news === undefined) {
      const standing = this.#gate.standing(SIM_APP);
      this.#news = standing === null || JSON.stringify(standing) === this.#told ? null : standing;
    }
    return this.#news;
  }

  noteTold(): void {
    this.#told = JSON.stringify(this.#gate.standing(SIM_APP));
    this.#news = undefined;
  }

  /** A voter that starts anew is told all. */
  forgetTold(): void {
    this.#told = "";
    this.#news = undefined;
  }

  describe(): string {
    return this.isUp ? this.#gate.describe() : "down";
  }

  #write(): void {
    const { record, isOpened } = this.#writing;
    this.#writing = { record: null, isOpened: false };
    if (record !== null) Object.assign(this.#disk, { before: this.#disk.record, record });
    if (isOpened) this.#disk.isOpened = true;
  }

  #step(input: GateInput): void {
    this.#news = undefined;
    const { time, broken, onCut } = this.#deps;
    const gate = this.#gate;
    for (const effect of gate.step(input, time.nowMs)) {
      if (effect.type === "persist") {
        this.#writing.record = this.#held;
        if (broken === "gate-disk") this.#step({ type: "persisted", app: SIM_APP, epoch: effect.epoch });
      }
      if (effect.type === "persist-opened") this.#writing.isOpened = true;
      if (effect.type === "confirm") this.#noteConfirmed();
      if (effect.type === "cut") onCut(effect.flights);
      if (effect.type === "schedule")
        time.at(effect.atMs, () => {
          if (this.#gate === gate && this.isUp) this.#step({ type: "tick" });
        });
    }
  }

  #noteConfirmed(): void {
    this.#confirmed = Math.max(this.#confirmed, this.#gate.standing(SIM_APP)?.epoch ?? 0);
  }
}
