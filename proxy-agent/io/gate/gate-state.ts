// Gate state: the gate's decisions with what they stand on: certified records, where the VMs are, and the disk that all of it
// outlives a restart on.

import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import {
  type AppName,
  createVerifier,
  DurableMap,
  decodeRecord,
  encodeRecord,
  fail,
  GATE_FAULT_CHARS_MAX,
  type GateStanding,
  type HistogramView,
  isLeaseOver,
  type MemberName,
  messageOf,
  ok,
  RecordBook,
  type RefusedRecord,
  type Result,
  uptimeMs,
  type VmName,
  type VmPlace,
  vmPlaceShape,
} from "../../../mesh/index.ts";
import type { ArmId } from "../../core/arms.ts";
import { type FlightId, Gate, type GateEffect, type GateInput, type Refusal } from "../../core/gate.ts";
import { GATE_DISK_PAUSE_MS } from "../../limits.ts";
import { monotonicUnixMs } from "../clock.ts";
import { Closings } from "./closings.ts";

export interface GateStateOptions {
  readonly cluster: string;
  readonly host: MemberName;
  /** Its database. */
  readonly path: string;
}

export interface GateStateDeps {
  readonly logger: Logger;
  /** By default real signatures. */
  readonly crypto?: ReturnType<typeof createVerifier>;
  /** The clock of leases, by default this machine's. May throw. */
  readonly uptimeMs?: () => number;
}

export interface GateListener {
  /** What is confirmed of this app changed. */
  readonly onConfirm: (app: AppName) => void;
  /** These VMs take nothing new. */
  readonly onClosed: (vms: readonly VmName[]) => void;
  readonly onCut: (flights: readonly FlightId[]) => void;
  /** This arm may send requests to these VMs of the app itself, and to no other. `record`: by which. */
  readonly onGrant: (grant: Grant) => void;
  /** Arms end what they sent to these VMs. */
  readonly onCutAtArms: (vms: readonly VmName[]) => void;
}

export interface Grant {
  readonly arm: ArmId;
  readonly app: AppName;
  readonly epoch: number;
  readonly places: readonly VmPlace[];
  readonly record: Uint8Array;
}

type ArmInput = Extract<GateInput, { readonly arm: ArmId }>;

const RECORD = "record/";
const PLACE = "vm/";
const LINK = "link/";
const OPENED = "opened";

export class GateState {
  readonly #gate: Gate;
  readonly #book: RecordBook;
  readonly #disk: DurableMap;
  readonly #logger: Logger;
  readonly #uptimeMs: () => number;
  readonly #places = new Map<VmName, VmPlace>();
  readonly #ending = new AbortController();
  readonly #closings = new Closings();
  #listener: GateListener | null = null;
  /** Epochs whose records are on their way to the disk. */
  #owed = new Map<AppName, number>();
  #syncing: Promise<void> | null = null;
  #isDue = false;
  /** Why the last write failed; null: it did not. */
  #fault: string | null = null;
  #timer: NodeJS.Timeout | undefined;

  /** Rejects with why its disk cannot be used. */
  static async open(options: GateStateOptions, deps: GateStateDeps): Promise<GateState> {
    const owner = `the gate of ${options.host} in ${options.cluster}`;
    const disk = await DurableMap.open({ path: options.path, owner });
    try {
      return new GateState(options, disk, deps);
    } catch (error) {
      await disk.close();
      throw new Error(`${options.path}: ${messageOf(error)}`);
    }
  }

  private constructor({ cluster, host }: GateStateOptions, disk: DurableMap, deps: GateStateDeps) {
    this.#disk = disk;
    this.#logger = deps.logger;
    this.#uptimeMs = deps.uptimeMs ?? uptimeMs;
    this.#gate = new Gate({ host });
    this.#book = new RecordBook(cluster, deps.crypto ?? createVerifier());
    this.#restore();
  }

  /** Who performs what follows from a change. Once, before anything changes. */
  listen(listener: GateListener): void {
    this.#listener = listener;
  }

  /** It stays shut until `current`. */
  get isBlank(): boolean {
    return !this.#gate.isOpen;
  }

  /** Of now, for the metrics. */
  get gauges(): Readonly<Record<string, number>> {
    const { inFlight, openVms, drainingVms } = this.#gate;
    return {
      "in-flight": inFlight,
      "open-vms": openVms,
      "draining-vms": drainingVms,
      "disk-failing": Number(this.#fault !== null),
    };
  }

  /** Of each VM that was closed since the start: seconds until that was on disk. */
  get closings(): HistogramView {
    return this.#closings.view();
  }

  get links(): readonly Uint8Array[] {
    return this.#book.links;
  }

  learn(link: Uint8Array): void {
    if (!this.#book.learn(link)) return;
    // A chain that begins anew is shorter than the one before.
    for (const key of [...this.#disk.rows.keys()].filter((one) => one.startsWith(LINK)))
      this.#disk.put(key, null);
    for (const [index, one] of this.#book.links.entries())
      this.#disk.put(`${LINK}${String(index).padStart(8, "0")}`, one);
    this.#sync();
  }

  /** Ok: it is in force here, or an equal one is, or a newer one. */
  take(key: string, value: Uint8Array): Result<null, RefusedRecord> {
    const taken = this.#book.take(key, value);
    if (!taken.ok) return taken.error === "stale" ? ok(null) : fail(taken.error);
    this.#disk.put(`${RECORD}${key}`, taken.value.encoded);
    this.#step({ type: "record", committed: taken.value });
    this.#sync();
    return ok(null);
  }

  /** All that a majority had was taken. */
  current(): void {
    this.#step({ type: "current" });
  }

  /** All VMs of this host that have an address. */
  place(places: readonly VmPlace[]): void {
    const named = new Set(places.map(({ vm }) => vm));
    const moved = new Set<AppName>();
    for (const vm of [...this.#places.keys()].filter((one) => !named.has(one))) {
      this.#places.delete(vm);
      this.#disk.put(`${PLACE}${vm}`, null);
    }
    for (const place of places) {
      const held = this.#places.get(place.vm);
      const isThere = held?.host === place.host && held.port === place.port;
      if (isThere && held.untilMs === place.untilMs) continue;
      this.#places.set(place.vm, place);
      if (isThere) continue;
      moved.add(place.app);
      // A lease that is found again after a restart may be over, or of another boot: its agent tells it anew.
      if (place.untilMs === undefined) this.#disk.put(`${PLACE}${place.vm}`, encodeRecord(place));
    }
    for (const app of moved) this.#step({ type: "placed", app });
    this.#sync();
  }

  /** Where a VM of that app listens; undefined: nobody said. */
  placeOf(app: AppName, vm: VmName): VmPlace | undefined {
    const place = this.#places.get(vm);
    return place?.app === app ? place : undefined;
  }

  /** Null: it is admitted, and in flight until `ended`. */
  request(
    flight: FlightId,
    asked: { readonly app: AppName; readonly vm: VmName; readonly epoch: number },
  ): Refusal | null {
    if (this.#isLeaseOver(this.placeOf(asked.app, asked.vm))) return "shut";
    const [effect] = this.#gate.step({ type: "request", flight, ...asked }, monotonicUnixMs());
    return effect?.type === "refuse" ? effect.why : null;
  }

  ended(flight: FlightId): void {
    this.#step({ type: "ended", flight });
  }

  /** What is heard or seen of a proxy that sends requests to VMs itself. */
  arm(input: ArmInput): void {
    this.#step(input);
  }

  isOpenFor(app: AppName, vm: VmName): boolean {
    return this.#gate.isOpenFor(app, vm);
  }

  /** The newest record held, as it came. */
  recordOf(app: AppName): Uint8Array | undefined {
    return this.#book.get(app)?.encoded;
  }

  standings(): readonly GateStanding[] {
    return this.#gate.standings().map((standing) => this.#withFault(standing));
  }

  standing(app: AppName): GateStanding | null {
    const standing = this.#gate.standing(app);
    return standing === null ? null : this.#withFault(standing);
  }

  describe(): string {
    return this.#gate.describe();
  }

  async close(): Promise<void> {
    this.#ending.abort();
    clearTimeout(this.#timer);
    await this.#syncing;
    await this.#disk.close();
  }

  /** By a clock that runs on while the machine is suspended: it may have been, since the line before this one. */
  #isLeaseOver(place: VmPlace | undefined): boolean {
    return place?.untilMs !== undefined && isLeaseOver(place.untilMs, this.#uptimeMs);
  }

  #withFault(standing: GateStanding): GateStanding {
    if (this.#fault === null || this.#gate.epochOf(standing.app) <= standing.epoch) return standing;
    return { ...standing, fault: this.#fault.slice(0, GATE_FAULT_CHARS_MAX) };
  }

  /** What was written here was checked before: that the voters changed since makes none of it untrue. */
  #restore(): void {
    const rows = [...this.#disk.rows].sort(([left], [right]) => (left < right ? -1 : 1));
    for (const [key, value] of rows) if (key.startsWith(LINK)) this.#book.learn(value);
    const apps = rows.flatMap(([key, value]) => {
      if (!key.startsWith(RECORD)) return [];
      const restored = this.#book.restore(key.slice(RECORD.length), value);
      // Without it the gate would take an older one for the newest.
      if (!restored.ok) throw new Error(`the record ${key} cannot be read: ${restored.error}`);
      return [restored.value];
    });
    for (const [key, value] of rows) {
      const place = key.startsWith(PLACE) ? decodeRecord(vmPlaceShape, value) : null;
      if (place?.ok) this.#places.set(place.value.vm, place.value);
    }
    this.#step({ type: "restored", apps, isOpened: this.#disk.rows.has(OPENED) });
  }

  #onDisk(app: AppName, epoch: number): void {
    this.#closings.onDisk(app, epoch, monotonicUnixMs());
    this.#step({ type: "persisted", app, epoch });
  }

  #step(input: GateInput): void {
    for (const effect of this.#gate.step(input, monotonicUnixMs())) this.#perform(effect);
  }

  #perform(effect: GateEffect): void {
    switch (effect.type) {
      case "persist":
        this.#owed.set(effect.app, effect.epoch);
        this.#closings.taken(effect.app, effect.epoch);
        this.#logger.debug({ app: effect.app, epoch: effect.epoch }, "record in force");
        break;
      case "persist-opened":
        this.#disk.put(OPENED, new Uint8Array([1]));
        this.#logger.info({ from: "shut", to: "open" }, "gate opens");
        this.#sync();
        break;
      case "closed":
        this.#closings.began(effect.app, monotonicUnixMs());
        this.#logger.info({ app: effect.app, vm: effect.vm, from: "open", to: "closed" }, "vm closed");
        this.#listener?.onClosed([effect.vm]);
        break;
      case "cut":
        this.#listener?.onCut(effect.flights);
        break;
      case "confirm":
        this.#listener?.onConfirm(effect.app);
        break;
      case "grant":
        this.#grant(effect);
        break;
      case "cut-at-arms":
        this.#listener?.onCutAtArms(effect.vms);
        break;
      case "schedule":
        this.#schedule(effect.atMs);
        break;
      case "admit":
      case "refuse":
        break;
    }
  }

  /** A VM whose address nobody told yet is granted once it is there. */
  #grant({ arm, app, epoch, vms }: Extract<GateEffect, { type: "grant" }>): void {
    // What has a lease is reached through the gate alone, which looks at it before each request.
    const places = vms
      .flatMap((vm) => this.placeOf(app, vm) ?? [])
      .filter(({ untilMs }) => untilMs === undefined);
    this.#listener?.onGrant({ arm, app, epoch, places, record: this.recordOf(app) ?? new Uint8Array() });
  }

  #schedule(atMs: number): void {
    clearTimeout(this.#timer);
    // A longer delay would fire at once; on a shorter one we look again.
    const delayMs = Math.min(Math.max(0, atMs - monotonicUnixMs()) + 1, 2 ** 31 - 1);
    this.#timer = setTimeout(() => this.#step({ type: "tick" }), delayMs);
  }

  /** Said when it changes: to people by the log, and for the apps that wait for it to the voters. */
  #diskIs(fault: string | null, owed: Iterable<AppName>): void {
    const before = this.#fault;
    this.#fault = fault;
    if (before === null && fault !== null)
      this.#logger.error(
        { reason: fault },
        "cannot write down what is closed: nothing is confirmed until it can",
      );
    if (before !== null && fault === null) this.#logger.info("what is closed can be written down again");
    if (fault !== null) for (const app of owed) this.#listener?.onConfirm(app);
  }

  #sync(): void {
    this.#isDue = true;
    this.#syncing ??= this.#syncAll().finally(() => {
      this.#syncing = null;
    });
  }

  /**
   * Until nothing is owed. A disk that fails confirms nothing, and closes no less: that holds in memory, and what is open stays open.
   * So the gate stays and tries again: a start would begin with what the disk had before, if it came up on such a disk at all. A write
   * that failed is a whole transaction that counts for nothing, and is written anew.
   */
  async #syncAll(): Promise<void> {
    // What comes in one breath is one write.
    await Promise.resolve();
    do {
      this.#isDue = false;
      const owed = this.#owed;
      this.#owed = new Map();
      try {
        await this.#disk.synced();
        this.#diskIs(null, owed.keys());
        for (const [app, epoch] of owed) {
          this.#onDisk(app, epoch);
          const awaits = this.#gate.standing(app)?.awaits;
          if (awaits !== undefined) this.#logger.debug({ app, epoch, awaits }, "not confirmed yet");
        }
      } catch (error) {
        for (const [app, epoch] of owed) if (!this.#owed.has(app)) this.#owed.set(app, epoch);
        this.#diskIs(messageOf(error), owed.keys());
        await delay(GATE_DISK_PAUSE_MS, undefined, { signal: this.#ending.signal }).catch(() => undefined);
      }
    } while ((this.#isDue || this.#owed.size > 0) && !this.#ending.signal.aborted);
  }
}
