// VM run: does what a VM's life says: files, process, checks, timers. One for each VM of this host.

import { mkdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import type { BundleHash, EnvRef, MemberName, Result, VmEntry, VmName } from "../../mesh/index.ts";
import { messageOf } from "../../mesh/index.ts";
import type { HealthChanged } from "../health/check-machine.ts";
import type { ProbeAddress } from "../health/probe.ts";
import type { runChecks } from "../health/prober.ts";
import type { Alone } from "./alone.ts";
import type { Leased, Leases } from "./leases.ts";
import { BOUND_AT_START, boundOutput, keepOutput } from "./output-bound.ts";
import { readEntryLines } from "./output-tail.ts";
import type { PortPool } from "./port-pool.ts";
import { StartAhead } from "./start-ahead.ts";
import type { VmDriver, VmHandle, VmSpec } from "./vm-driver.ts";
import { environmentOf } from "./vm-environment.ts";
import type { LifeInput, VmLife } from "./vm-life.ts";
import type { LifeEffect } from "./vm-life-effect.ts";
import { type VmRecord, writeVmRecord } from "./vm-record.ts";
import type { Volumes } from "./volumes.ts";

/** As the entry's shape has it. */
const REASON_CHARS_MAX = 1_000;
/** A start that waits for longer says for what. */
const WAIT_SAID_MS = 1_000;
export const WAIT_TEXT =
  "waits to be started: until a majority of the voters says that it is to run here, and nothing else of its app does";
/** Those in which a process of it may be there, and the one before. */
const LEASED_STATES: ReadonlySet<string> = new Set(["waiting", "starting", "running", "stopping"]);
const NO_ENV = "cannot get the release's env: ";

export interface VmRunOptions {
  readonly host: MemberName;
  /** The VM's own: app/, output.log, vm.json. */
  readonly folder: string;
  /** Where its output is kept when it is gone. */
  readonly logsFolder: string;
}

/** Puts a release's files into a folder, from wherever they are. Rejects with a reason for people. */
export interface VmBundles {
  unpack(hash: BundleHash, folder: string, signal: AbortSignal): Promise<void>;
}

/** The env of releases. Reasons are for people, and tell nothing of the values. */
export interface VmEnvs {
  /** Ok once it is on this host's disk. */
  fetch(ref: EnvRef, signal: AbortSignal): Promise<Result<null>>;
  read(ref: EnvRef): Promise<Result<Readonly<Record<string, string>>>>;
}

export interface VmRunDeps {
  readonly driver: VmDriver;
  /** `runChecks` of health/prober.ts. */
  readonly runChecks: typeof runChecks;
  readonly bundles: VmBundles;
  readonly envs: VmEnvs;
  /** The epoch of the record, as a majority has it now, that wants it to run here; null: none does. Waits for a majority; rejects on abort. */
  readonly wantedEpoch: (vm: VmName, signal: AbortSignal) => Promise<number | null>;
  readonly alone: Pick<Alone, "turn" | "changed">;
  readonly leases: Pick<Leases, "hold" | "guard" | "adopt" | "drop" | "isOver">;
  readonly volumes: Pick<Volumes, "link" | "check" | "environment">;
  readonly ports: PortPool;
  readonly publish: (vm: VmName, entry: VmEntry | null) => void;
  readonly logger: Pick<Logger, "info" | "warn" | "error">;
  readonly nowMs: () => number;
  /** It is gone: its folder is removed and its entry deleted. */
  readonly onGone: (vm: VmName) => void;
}

export class VmRun {
  readonly life: VmLife;
  readonly folder: string;
  readonly #options: VmRunOptions;
  readonly #deps: VmRunDeps;
  readonly #tasks = new Set<Promise<void>>();
  readonly #inputs: LifeInput[] = [];
  readonly #leaving = new AbortController();
  /** Ends what the state before began. */
  #current = new AbortController();
  #isStepping = false;
  /** Of one that runs alone: the epoch by which it had its turn. */
  #fence: number | null = null;
  /** Of a release command: its time is over. */
  #isOverdue = false;
  /** Why the record on disk is not the one in force; null: it is. */
  #saveError: string | null = null;
  #restWaiters: (() => void)[] = [];
  readonly #ahead: StartAhead;

  constructor(life: VmLife, options: VmRunOptions, deps: VmRunDeps) {
    this.life = life;
    this.folder = options.folder;
    this.#options = options;
    this.#deps = deps;
    const look = () => boundOutput(this.outputFile, BOUND_AT_START).then(() => this.#spec());
    this.#ahead = new StartAhead(look, () => performance.now());
  }

  get outputFile(): string {
    return join(this.folder, "output.log");
  }

  resume(): void {
    for (const effect of this.life.resume()) this.#perform(effect);
  }

  step(input: LifeInput): void {
    this.#inputs.push(input);
    // An effect may lead back here (publish → a listener → reconcile): one input after the other, in their order.
    if (this.#isStepping) return;
    this.#isStepping = true;
    try {
      for (let next = this.#inputs.shift(); next !== undefined; next = this.#inputs.shift()) {
        for (const effect of this.life.step(next, this.#deps.nowMs())) this.#perform(effect);
      }
    } finally {
      this.#isStepping = false;
    }
    if (!LEASED_STATES.has(this.life.state)) this.#deps.leases.drop(this.life.entry.vm);
    this.#deps.alone.changed();
    if (this.life.isAtRest) for (const wake of this.#restWaiters.splice(0)) wake();
    if (this.life.state === "gone") this.#deps.onGone(this.life.entry.vm);
  }

  /** Resolves when nothing more happens without another wish. */
  async untilAtRest(): Promise<void> {
    if (!this.life.isAtRest) await new Promise<void>((wake) => this.#restWaiters.push(wake));
  }

  /** Ends all that is going on here, and leaves the VM as it is. */
  async leave(): Promise<void> {
    this.#leaving.abort();
    this.#current.abort();
    // What cannot be called back (a process that is being made) may begin more, which ends at once.
    while (this.#tasks.size > 0) await Promise.allSettled(this.#tasks);
  }

  #perform(effect: LifeEffect): void {
    switch (effect.type) {
      case "cancel":
        this.#current.abort();
        this.#current = new AbortController();
        break;
      case "save":
        this.#save(effect.record);
        break;
      case "publish":
        this.#deps.publish(this.life.entry.vm, effect.entry);
        break;
      case "log":
        this.#log(effect);
        break;
      default:
        this.#begin(effect);
    }
  }

  /** What takes time: each ends in an input with the effect's token. */
  #begin(effect: Exclude<LifeEffect, { type: "cancel" | "save" | "publish" | "log" }>): void {
    const { token } = effect;
    switch (effect.type) {
      case "prepare":
        this.#do((signal) => this.#prepare(token, signal));
        break;
      case "place":
        this.#do(() => this.#place(token, effect.preferred));
        break;
      case "await-turn":
        this.#do((signal) => this.#awaitTurn(token, signal));
        break;
      case "start":
        this.#do(() => this.#start(token, effect.address));
        break;
      case "watch":
        if (this.#leased !== null) this.#deps.leases.adopt(this.#leased);
        this.#do((signal) => this.#watchExit(token, effect.handle, signal));
        if (this.life.isCommand) this.#do((signal) => this.#stopOverdue(effect.handle, signal));
        this.#do((signal) => this.#watchHealth(token, signal));
        break;
      case "schedule-restart":
        this.#do((signal) => this.#restartLater(token, effect.delayMs, signal));
        break;
      case "stop":
        this.#do(() => this.#stop(token, effect.handle));
        break;
      case "remove":
        this.#do(() => this.#remove(token, [...this.#tasks]));
        break;
    }
  }

  /** Runs a task until it ends or its state is left. Each task answers for its own failures; what is left is a bug. */
  #do(task: (signal: AbortSignal) => Promise<void>): void {
    if (this.#leaving.signal.aborted) return;
    const { signal } = this.#current;
    const running = task(signal)
      .catch((error: unknown) => {
        if (signal.aborted || this.#leaving.signal.aborted) return;
        this.#deps.logger.error({ err: error, vm: this.life.entry.vm }, "vm task failed");
      })
      .finally(() => this.#tasks.delete(running));
    this.#tasks.add(running);
  }

  #save(record: VmRecord): void {
    try {
      mkdirSync(this.folder, { recursive: true });
      writeVmRecord(this.folder, record);
      this.#saveError = null;
    } catch (error) {
      this.#saveError = messageOf(error);
      this.#deps.logger.error({ err: error, vm: record.entry.vm }, "vm record cannot be written");
    }
  }

  #log(effect: LifeEffect & { type: "log" }): void {
    const { vm, app, release } = this.life.entry;
    const { what, from, to, reason } = effect;
    const fields = { vm, app, release, from, to, ...(reason === null ? {} : { reason }) };
    const level = ["exited", "failed", "unhealthy"].includes(to) ? "warn" : "info";
    this.#deps.logger[level](fields, what === "state" ? "vm changes state" : "vm changes health");
  }

  async #prepare(token: number, signal: AbortSignal): Promise<void> {
    const app = join(this.folder, "app");
    const { bundle, env, volumes = [] } = this.life.release.spec;
    if (!(await this.#fetchEnv(token, env, signal))) return;
    await this.#orFail(token, "cannot get the release's files: ", async () => {
      // What an earlier try left is no release.
      await rm(app, { recursive: true, force: true });
      await this.#deps.bundles.unpack(bundle.hash, app, signal);
      // What a partition kept from us may have ended its deploy long ago.
      const { vm } = this.life.entry;
      const isLate = this.life.isCommand && (await this.#deps.wantedEpoch(vm, signal)) === null;
      if (isLate) throw new Error("no record wants its release command run any more");
      await this.#deps.volumes.link(this.life.entry.app, volumes, app);
      // What would fail its start fails before another one makes way for it.
      if (this.life.phase === "prepared") this.#deps.driver.check(await this.#ahead.look());
      this.step({ type: "prepared", token });
    });
  }

  async #fetchEnv(token: number, env: EnvRef | undefined, signal: AbortSignal): Promise<boolean> {
    const fetched = env === undefined ? null : await this.#deps.envs.fetch(env, signal);
    if (fetched === null || fetched.ok) return true;
    this.#failStart(token, `${NO_ENV}${fetched.error}`);
    return false;
  }

  async #place(token: number, preferred: number | null): Promise<void> {
    await this.#orFail(token, "", async () => {
      const port = await this.#deps.ports.take(this.life.entry.vm, this.life.bindHost, preferred);
      this.step({ type: "placed", token, port });
    });
  }

  async #awaitTurn(token: number, signal: AbortSignal): Promise<void> {
    const timer = setTimeout(() => this.step({ type: "waits", token, reason: WAIT_TEXT }), WAIT_SAID_MS);
    void this.#ahead.look();
    try {
      if (this.#leased !== null) await this.#deps.leases.hold(this.#leased, signal);
      await this.#deps.alone.turn(this.life, signal, (epoch) => {
        this.#fence = epoch;
        this.step({ type: "turn", token });
      });
    } catch (error) {
      signal.throwIfAborted();
      this.#failStart(token, `cannot be given its turn: ${messageOf(error)}`);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Null: it runs without a lease. */
  get #leased(): Leased | null {
    const { vm, app } = this.life.entry;
    const { fence } = this.life.release.spec;
    if (fence === undefined || this.life.isCommand) return null;
    return { vm, app, folder: this.folder, leaseMs: fence.leaseMs };
  }

  async #start(token: number, address: ProbeAddress | null): Promise<void> {
    await this.#orFail(token, "", async () => {
      // A start that is not written down could be lost, and its process would run unknown.
      if (this.#saveError !== null) throw new Error(`cannot write down the start: ${this.#saveError}`);
      const { host } = this.#options;
      const self = environmentOf(this.life.entry, { host, address, fence: this.#fence });
      const spec = await this.#ahead.take(self);
      if (this.#leased !== null) await this.#deps.leases.guard(this.#leased);
      const handle = await this.#deps.driver.start(spec);
      this.step({ type: "started", token, handle });
    });
  }

  /** But where it listens and who it is. */
  async #spec(): Promise<VmSpec> {
    const { env, volumes = [] } = this.life.release.spec;
    await this.#deps.volumes.check(this.life.entry.app, volumes);
    const own = env === undefined ? null : await this.#deps.envs.read(env);
    if (own?.ok === false) throw new Error(`${NO_ENV}${own.error}`);
    return {
      vm: this.life.entry.vm,
      command: this.#command,
      env: { ...own?.value, ...this.#deps.volumes.environment(this.life.entry.app, volumes) },
      folder: this.folder,
    };
  }

  get #command(): readonly string[] {
    const { command, deploy } = this.life.release.spec;
    return this.life.isCommand ? (deploy.releaseCommand ?? []) : command;
  }

  async #orFail(token: number, prefix: string, task: () => Promise<void>): Promise<void> {
    try {
      await task();
    } catch (error) {
      this.#failStart(token, `${prefix}${messageOf(error)}`);
    }
  }

  #failStart(token: number, reason: string): void {
    const cut = reason.slice(0, REASON_CHARS_MAX);
    this.step({ type: "start-failed", token, reason: cut, lastLines: [] });
  }

  async #watchExit(token: number, handle: VmHandle, signal: AbortSignal): Promise<void> {
    const exit = await this.#deps.driver.waitForExit(handle, signal);
    // What it left behind would hold its port, and run beside its successor.
    await this.#deps.driver.stop(handle, { stopSignal: "SIGKILL", timeoutMs: 0, signal });
    const lastLines = await readEntryLines(this.outputFile);
    const isLeaseOver = this.#deps.leases.isOver(this.life.entry.vm);
    this.step({ type: "exited", token, exit, lastLines, isOverdue: this.#isOverdue, isLeaseOver });
  }

  /** Its time counts from its start, over restarts of the agent. */
  async #stopOverdue(handle: VmHandle, signal: AbortSignal): Promise<void> {
    const { deploy, stop } = this.life.release.spec;
    const { nowMs, driver } = this.#deps;
    const endMs = (this.life.entry.startedAtMs ?? nowMs()) + (deploy.releaseCommandTimeoutMs ?? 0);
    await delay(Math.max(0, endMs - nowMs()), undefined, { signal });
    this.#isOverdue = true;
    await driver.stop(handle, { stopSignal: stop.signal, timeoutMs: stop.timeoutMs, signal });
  }

  async #watchHealth(token: number, signal: AbortSignal): Promise<void> {
    const { address, startedAtMs, health, reason } = this.life.entry;
    if (address === null) return;
    // One after the other: reading the last lines of an unhealthy one must not let a later pass overtake it.
    let told = Promise.resolve();
    const onChange = (change: HealthChanged) => {
      told = told.then(() => this.#tellHealth(token, change));
    };
    const { nowMs, runChecks } = this.#deps;
    const { checks } = this.life.release.spec;
    const options = { checks, address, vmStartedAtMs: startedAtMs ?? nowMs(), before: { health, reason } };
    await runChecks(options, { nowMs, onChange }, signal);
    await told;
  }

  async #tellHealth(token: number, change: HealthChanged): Promise<void> {
    const lastLines = change.health === "unhealthy" ? await readEntryLines(this.outputFile) : [];
    const reason = change.reason?.slice(0, REASON_CHARS_MAX) ?? null;
    this.step({ type: "health", token, health: change.health, reason, lastLines });
  }

  async #restartLater(token: number, delayMs: number, signal: AbortSignal): Promise<void> {
    await delay(delayMs, undefined, { signal });
    this.step({ type: "restart-due", token });
  }

  async #stop(token: number, handle: VmHandle): Promise<void> {
    const { signal: stopSignal, timeoutMs } = this.life.release.spec.stop;
    const { signal } = this.#leaving;
    const exit = await this.#deps.driver.stop(handle, { stopSignal, timeoutMs, signal });
    this.step({ type: "stopped", token, exit });
  }

  /** `before`: what was cancelled but may still write to the folder (an unpacking in its last file). */
  async #remove(token: number, before: readonly Promise<void>[]): Promise<void> {
    await Promise.allSettled(before);
    const { vm } = this.life.entry;
    try {
      await keepOutput(this.outputFile, this.#options.logsFolder, vm);
      await rm(this.folder, { recursive: true, force: true });
    } catch (error) {
      // It does not run any more, which is what counts; the next start of the agent tries again.
      this.#deps.logger.error({ err: error, vm }, "vm folder cannot be removed");
    }
    this.#deps.ports.release(vm);
    this.step({ type: "removed", token });
  }
}
