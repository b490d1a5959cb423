// VM life: one VM of this host from the first wish for it to its last trace. Pure: `step` says what to do, vm-run does it.
//
//   idle ─► preparing ─► placing ─► starting ─► running ─► stopping ─► removing ─► gone
//                               ╰► prepared ─► waiting ─╯
//
// `prepared` while the record wants no more than that; `waiting`, of an app that never runs twice, until it is its turn.
// From preparing to starting it may become `failed`, from running `exited`; from both it comes back with
// backoff while the record has it serving or cordoned, and is removed when nobody wants it.
//
// Whoever is asked to do something gets the token of that moment; an answer with an older token comes too late and is
// dropped. What is on disk is ahead of what happens: a start is written down before there is a process.

import { isExclusive, type Release, type VmEntry, type VmHealth, type VmPhase } from "../../mesh/index.ts";
import { describeExit } from "./describe-exit.ts";
import type { VmExit, VmHandle } from "./vm-driver.ts";
import type { LifeEffect } from "./vm-life-effect.ts";
import type { VmRecord } from "./vm-record.ts";

/** Between two starts: doubled from the first to the last. */
const BACKOFF_FIRST_MS = 100;
const BACKOFF_LAST_MS = 10_000;
/** A VM that was well for so long did not fail to start: its next backoff is the first again. */
const BACKOFF_RESET_MS = 30_000;

const LEASE_OVER = "its lease was over: no majority of the voters could be asked in time: ";

type Starting = NonNullable<VmRecord["starting"]>;

/**
 * - `idle`: known from disk, nothing of it runs; waits for word of the records.
 * - `preparing`: its files are being fetched and unpacked. `placing`: it is given a port.
 * - `prepared`: all that its start needs is here. `waiting`: it is to start, and another VM of its app may run still.
 * - `starting`: the start is on disk, the process is being made; it cannot be called back any more.
 * - `running`: its process runs; its end and its checks are watched.
 * - `exited`, `failed`: as in its entry. `isRetrying`: it comes back when its backoff is over.
 * - `stopping`: it got its stop signal. `removing`: nothing of it runs; its traces are being removed. `gone`: done.
 */
export type LifeState =
  | { readonly state: "idle" | "preparing" | "placing" | "removing" | "gone" }
  | { readonly state: "prepared" | "waiting"; readonly port: number }
  | { readonly state: "starting"; readonly start: Starting }
  | { readonly state: "running" | "stopping"; readonly handle: VmHandle }
  | { readonly state: "exited" | "failed"; readonly isRetrying: boolean };

/** Answers carry the token of the effect that asked for them. */
export type LifeInput =
  /** The record has it, in this phase. */
  | { readonly type: "want"; readonly phase: VmPhase }
  /** No record has it: stop it and remove its traces. */
  | { readonly type: "unwant" }
  /** Its agent ends and takes it along: stop it, keep what a later agent needs. */
  | { readonly type: "end" }
  | { readonly type: "prepared"; readonly token: number }
  | { readonly type: "placed"; readonly token: number; readonly port: number }
  /** Its turn has not come for a while. `reason`: what it waits for. */
  | { readonly type: "waits"; readonly token: number; readonly reason: string }
  /** Nothing of its app runs here but it, and a majority wants it to. */
  | { readonly type: "turn"; readonly token: number }
  | { readonly type: "started"; readonly token: number; readonly handle: VmHandle }
  | {
      readonly type: "start-failed";
      readonly token: number;
      readonly reason: string;
      readonly lastLines: readonly string[];
    }
  | {
      readonly type: "exited";
      readonly token: number;
      readonly exit: VmExit;
      readonly lastLines: readonly string[];
      /** It was stopped: its time was over. */
      readonly isOverdue?: boolean;
      /** Its watchdog ended it. */
      readonly isLeaseOver?: boolean;
    }
  | {
      readonly type: "health";
      readonly token: number;
      readonly health: VmHealth;
      readonly reason: string | null;
      readonly lastLines: readonly string[];
    }
  | { readonly type: "restart-due"; readonly token: number }
  | { readonly type: "stopped"; readonly token: number; readonly exit: VmExit }
  | { readonly type: "removed"; readonly token: number };

export interface VmLifeOptions {
  readonly release: Release;
  /** Address at which it is told to listen and proxies dial it. */
  readonly bindHost: string;
  /** Only the gate of this host reaches it there. */
  readonly isGated: boolean;
  /** It runs the release command, once: no port, no checks, and never a second start. Default: false. */
  readonly isCommand?: boolean;
  /** No other VM of its app may run beside it. Default: false. */
  readonly isAlone?: boolean;
  readonly entry: VmEntry;
  readonly state: LifeState;
}

export class VmLife {
  readonly release: Release;
  readonly #bindHost: string;
  readonly #isGated: boolean;
  readonly isCommand: boolean;
  readonly #isAlone: boolean;
  #entry: VmEntry;
  #state: LifeState;
  /** What is wished of it: to run in this phase, to be removed, or to rest until a later agent. null: no word yet. */
  #wish: VmPhase | "removed" | "at-rest" | null = null;
  #token = 0;
  #starts = 0;
  /** Its files are in place; what an earlier agent unpacked is not counted on. */
  #isPrepared = false;

  constructor(options: VmLifeOptions) {
    this.release = options.release;
    this.#bindHost = options.bindHost;
    this.#isGated = options.isGated;
    this.isCommand = options.isCommand ?? false;
    this.#isAlone = options.isAlone ?? false;
    this.#entry = options.entry;
    this.#state = options.state;
  }

  /** Its release says that no other VM of the app runs beside one of it. */
  get isExclusive(): boolean {
    return isExclusive(this.release.spec);
  }
  get bindHost(): string {
    return this.#bindHost;
  }
  get entry(): VmEntry {
    return this.#entry;
  }
  get state(): LifeState["state"] {
    return this.#state.state;
  }
  /** Null when no record wants it, or none was seen yet. */
  get phase(): VmPhase | null {
    return this.#wish === "removed" || this.#wish === "at-rest" ? null : this.#wish;
  }
  /** Nothing happens until another wish comes. */
  get isAtRest(): boolean {
    if (this.#state.state === "exited" || this.#state.state === "failed") return !this.#state.isRetrying;
    return this.#state.state === "idle" || this.#state.state === "gone";
  }

  /** What brings a VM that was found on disk back to life here: publish what is known, watch what runs. */
  resume(): readonly LifeEffect[] {
    const known: readonly LifeEffect[] = [this.#save(), this.#publish()];
    if (this.#state.state !== "running") return known;
    return [...known, { type: "watch", token: this.#token, handle: this.#state.handle }];
  }

  step(input: LifeInput, nowMs: number): readonly LifeEffect[] {
    if ("token" in input && input.token !== this.#token) return [];
    switch (input.type) {
      case "want":
        return this.#want(input.phase, nowMs);
      case "unwant":
        return this.#leave("removed");
      case "end":
        return this.#leave("at-rest");
      case "prepared":
        this.#isPrepared = true;
        return this.#place(nowMs);
      case "placed":
        return this.#placed(input.port, nowMs);
      case "waits":
        this.#entry = { ...this.#entry, reason: input.reason };
        return this.#state.state === "waiting" ? [this.#save(), this.#publish()] : [];
      case "turn":
        return this.#state.state === "waiting" ? this.#startAt(this.#state.port, nowMs) : [];
      case "started":
        return this.#run(input.handle);
      case "start-failed":
        return this.#fail(input);
      case "exited":
        return this.#exit(input, nowMs);
      case "health":
        return this.#judge(input, nowMs);
      case "restart-due":
        return this.#isPrepared ? this.#place(nowMs) : this.#prepare();
      case "stopped":
        return this.#stopped(input.exit, nowMs);
      case "removed":
        return [...this.#enter({ state: "gone" }), { type: "publish", entry: null }];
    }
  }

  describe(): string {
    return `${this.#entry.vm} ${this.#state.state}, wished ${this.#wish ?? "nothing yet"}`;
  }

  #want(phase: VmPhase, nowMs: number): readonly LifeEffect[] {
    // A VM that is on its way out goes: its host starts it anew once it is gone.
    if (this.#wish === "removed" || this.#wish === "at-rest") return [];
    this.#wish = phase;
    const { state } = this.#state;
    if (state === "idle") return this.#prepare();
    if (this.#state.state === "prepared") return this.#placed(this.#state.port, nowMs);
    const isDown = (state === "exited" || state === "failed") && this.isAtRest;
    const isKeptUp = phase !== "prepared" && phase !== "starting" && phase !== "opening";
    return isDown && isKeptUp ? this.#retry(state) : [];
  }

  #leave(wish: "removed" | "at-rest"): readonly LifeEffect[] {
    if (this.#wish === wish || this.#wish === "removed") return [];
    this.#wish = wish;
    switch (this.#state.state) {
      case "running":
        return this.#stop(this.#state.handle);
      // Its process may be there already: what becomes of it is told by the answer to the start.
      case "starting":
      case "stopping":
      case "removing":
      case "gone":
        return [];
      default:
        return this.#settle();
    }
  }

  /** Nothing of it runs and nobody wants it to: remove it, or let it rest. */
  #settle(): readonly LifeEffect[] {
    if (this.#wish === "removed") {
      const entered = this.#enter({ state: "removing" });
      return [{ type: "cancel" }, ...entered, { type: "remove", token: this.#token }];
    }
    const isDown = this.#entry.state === "exited" || this.#entry.state === "failed";
    const rest: LifeState = isDown
      ? { state: this.#entry.state === "failed" ? "failed" : "exited", isRetrying: false }
      : { state: "idle" };
    return [{ type: "cancel" }, ...this.#enter(rest), this.#save(), this.#publish()];
  }

  #prepare(): readonly LifeEffect[] {
    const entered = this.#enter({ state: "preparing" });
    return [...entered, this.#save(), this.#publish(), { type: "prepare", token: this.#token }];
  }

  #place(nowMs: number): readonly LifeEffect[] {
    if (this.isCommand) return this.#start({ address: null, startedAtMs: nowMs });
    const entered = this.#enter({ state: "placing" });
    const preferred = this.#entry.address?.port ?? null;
    return [...entered, { type: "place", token: this.#token, preferred }];
  }

  /** It runs nothing before the record wants that, nor beside another VM of an app that never runs twice. */
  #placed(port: number, nowMs: number): readonly LifeEffect[] {
    if (this.#wish === "prepared") {
      if (this.#state.state === "prepared") return [];
      return [...this.#enter({ state: "prepared", port }), ...this.#tellPrepared()];
    }
    if (!this.#isAlone) return this.#startAt(port, nowMs);
    const entered = this.#enter({ state: "waiting", port });
    return [...entered, ...this.#tellPrepared(), { type: "await-turn", token: this.#token }];
  }

  /** Of one that ran before, how it ended is told until it runs again. */
  #tellPrepared(): readonly LifeEffect[] {
    if (this.#entry.state !== "preparing") return [];
    this.#entry = { ...this.#entry, state: "prepared" };
    return [this.#save(), this.#publish()];
  }

  #startAt(port: number, nowMs: number): readonly LifeEffect[] {
    return this.#start({ address: { host: this.#bindHost, port }, startedAtMs: nowMs });
  }

  #start(start: Starting): readonly LifeEffect[] {
    const entered = this.#enter({ state: "starting", start });
    return [...entered, this.#save(), { type: "start", token: this.#token, address: start.address }];
  }

  #run(handle: VmHandle): readonly LifeEffect[] {
    if (this.#state.state !== "starting") return [];
    const { address, startedAtMs } = this.#state.start;
    this.#starts += 1;
    const { gated: _before, ...entry } = this.#entry;
    this.#entry = {
      ...entry,
      ...(this.#isGated ? { gated: true } : {}),
      state: "running",
      health: "unknown",
      address,
      restarts: this.#entry.restarts + (this.#entry.startedAtMs === null ? 0 : 1),
      startedAtMs,
      healthyAtMs: null,
      reason: null,
      lastLines: [],
    };
    const entered = this.#enter({ state: "running", handle });
    if (this.phase === null) return [...entered, ...this.#stop(handle)];
    return [...entered, this.#save(), this.#publish(), { type: "watch", token: this.#token, handle }];
  }

  #stop(handle: VmHandle): readonly LifeEffect[] {
    this.#entry = { ...this.#entry, state: "stopping" };
    const entered = this.#enter({ state: "stopping", handle });
    const done: readonly LifeEffect[] = [{ type: "cancel" }, ...entered, this.#save(), this.#publish()];
    return [...done, { type: "stop", token: this.#token, handle }];
  }

  #stopped(exit: VmExit, nowMs: number): readonly LifeEffect[] {
    if (this.#wish === "removed") return this.#settle();
    const reason = `stopped with its agent: ${describeExit(exit, this.#ranForMs(nowMs))}`;
    this.#entry = { ...this.#entry, state: "exited", health: "unknown", exit: this.#cutShort(exit), reason };
    return this.#settle();
  }

  #exit(input: LifeInput & { type: "exited" }, nowMs: number): readonly LifeEffect[] {
    const { exit, lastLines } = input;
    const { health, healthyAtMs } = this.#entry;
    const wasWell = health === "healthy" && nowMs - (healthyAtMs ?? nowMs) >= BACKOFF_RESET_MS;
    if (wasWell) this.#starts = 1;
    const ended = describeExit(exit, this.#ranForMs(nowMs));
    const why = input.isOverdue ? "ran into release_command_timeout: " : input.isLeaseOver ? LEASE_OVER : "";
    const reason = `${why}${ended}`;
    const seen = input.isOverdue === true ? this.#cutShort(exit) : exit;
    this.#entry = { ...this.#entry, state: "exited", health: "unknown", exit: seen, reason, lastLines };
    return this.#retry("exited");
  }

  #fail(input: LifeInput & { type: "start-failed" }): readonly LifeEffect[] {
    if (!["preparing", "placing", "waiting", "starting"].includes(this.#state.state)) return [];
    const { reason, lastLines } = input;
    this.#starts += 1;
    this.#entry = { ...this.#entry, state: "failed", health: "unknown", reason, lastLines };
    // Its files may be what is wrong.
    this.#isPrepared = false;
    return this.phase === null ? this.#settle() : this.#retry("failed");
  }

  /** It is down. Before it serves the rollout decides what becomes of it; later its host brings it back. */
  #retry(state: "exited" | "failed"): readonly LifeEffect[] {
    const isRetrying = this.phase === "serving" || this.phase === "cordoned";
    const entered = this.#enter({ state, isRetrying });
    const done: readonly LifeEffect[] = [{ type: "cancel" }, ...entered, this.#save(), this.#publish()];
    if (!isRetrying) return done;
    return [...done, { type: "schedule-restart", token: this.#token, delayMs: this.#backoffMs() }];
  }

  #judge(input: LifeInput & { type: "health" }, nowMs: number): readonly LifeEffect[] {
    const from = this.#entry.health;
    const { health, reason, lastLines } = input;
    const healthyAtMs = health === "healthy" ? nowMs : this.#entry.healthyAtMs;
    this.#entry = { ...this.#entry, health, reason, lastLines, healthyAtMs };
    return [this.#save(), this.#publish(), { type: "log", what: "health", from, to: health, reason }];
  }

  /** A release command that was stopped has not done its work, whatever code it ends with then. */
  #cutShort(exit: VmExit): VmExit {
    return this.isCommand ? { code: null, signal: exit.signal ?? this.release.spec.stop.signal } : exit;
  }

  #backoffMs(): number {
    const doublings = Math.min(Math.max(0, this.#starts - 1), 20);
    return Math.min(BACKOFF_LAST_MS, BACKOFF_FIRST_MS * 2 ** doublings);
  }

  #ranForMs(nowMs: number): number | null {
    return this.#entry.startedAtMs === null ? null : nowMs - this.#entry.startedAtMs;
  }

  #enter(state: LifeState): readonly LifeEffect[] {
    const from = this.#state.state;
    this.#state = state;
    this.#token += 1;
    const reason = state.state === "exited" || state.state === "failed" ? this.#entry.reason : null;
    return from === state.state ? [] : [{ type: "log", what: "state", from, to: state.state, reason }];
  }

  #publish(): LifeEffect {
    return { type: "publish", entry: this.#entry };
  }

  #save(): LifeEffect {
    const state = this.#state;
    const handle = state.state === "running" || state.state === "stopping" ? state.handle : null;
    const starting = state.state === "starting" ? state.start : null;
    return {
      type: "save",
      record: {
        format: 1,
        release: this.release,
        ...(this.isCommand ? { isCommand: true } : {}),
        entry: this.#entry,
        handle,
        starting,
      },
    };
  }
}
