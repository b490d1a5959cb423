// VM host: keeps this host's VMs what the records want, over restarts of the agent. Level-triggered: say it as often as you like.

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Logger } from "pino";
import type { AppName, MemberName, Release, VmEntry, VmName, VmPhase, VmPlace } from "../../mesh/index.ts";
import { isExclusive, isGated, newVmEntry } from "../../mesh/index.ts";
import { Alone } from "./alone.ts";
import { Leases, type LeasesDeps } from "./leases.ts";
import { BOUND_WHILE_RUNNING, boundOutput, keptLogFile } from "./output-bound.ts";
import { PortPool } from "./port-pool.ts";
import { uptimeMs } from "./process-table.ts";
import { type FoundVm, findVms, removeBroken } from "./restore-vms.ts";
import type { VmDriver } from "./vm-driver.ts";
import { VmLife } from "./vm-life.ts";
import { planVms } from "./vm-plan.ts";
import { type VmBundles, type VmEnvs, VmRun, type VmRunDeps, WAIT_TEXT } from "./vm-run.ts";

import { Volumes } from "./volumes.ts";

export { stopLeftoverVms } from "./restore-vms.ts";

/** A writer at 100 MB/s is over its bound by 100 MB when it is seen. A look costs ~50 µs for each VM. */
const OUTPUT_CHECK_INTERVAL_MS = 1_000;

/** Other machines do not reach it. */
const BEHIND_GATE = "127.0.0.1";

export interface VmHostOptions {
  readonly host: MemberName;
  /** `state_dir/vms`: one folder for each VM. Output of those that are gone is kept beside it, in `logs`. */
  readonly folder: string;
  /** Both included. */
  readonly vmPorts: { readonly from: number; readonly to: number };
  /** Address at which VMs listen and proxies dial them. */
  readonly bindHost: string;
  /** VMs listen where nobody but the gate of this host reaches them, save those of apps that go past it. */
  readonly hasGate: boolean;
}

export interface VmHostDeps {
  readonly driver: VmDriver;
  readonly runChecks: VmRunDeps["runChecks"];
  readonly bundles: VmBundles;
  readonly envs: VmEnvs;
  readonly wantedEpoch: VmRunDeps["wantedEpoch"];
  /** Volumes of the app that the records know to be here: they are not made anew. */
  readonly madeVolumes: (app: AppName) => readonly string[];
  /** Whether a VM that has a lease runs here by the record as a majority has it. */
  readonly askLease: LeasesDeps["ask"];
  /** Until when some VM may get requests is another time. */
  readonly onLease: () => void;
  /** Null: it is gone. */
  readonly publish: (vm: VmName, entry: VmEntry | null) => void;
  readonly logger: Pick<Logger, "info" | "warn" | "error">;
  /** Milliseconds since 1970: grace periods and run times count over restarts of the agent. */
  readonly nowMs: () => number;
}

/** What a record wants of this host. */
export interface WantedVm {
  readonly vm: VmName;
  readonly app: AppName;
  readonly release: Release;
  readonly phase: VmPhase;
  /** It runs the release command, once, and has no port. Its phase is `starting` until no record wants it. */
  readonly isCommand?: boolean;
}

export interface VmStatus {
  readonly entry: VmEntry;
  /** As the records wanted it last; null: none wants it, or none was seen yet. */
  readonly phase: VmPhase | null;
}

export class VmHost {
  readonly #options: VmHostOptions;
  readonly #deps: VmHostDeps;
  readonly #logsFolder: string;
  readonly #ports: PortPool;
  readonly #alone: Alone;
  readonly #leases: Leases;
  readonly #volumes: Volumes;
  readonly #runs = new Map<VmName, VmRun>();
  readonly #leaving = new AbortController();
  #wanted: readonly WantedVm[] = [];
  #isUnknown: (app: AppName) => boolean = () => false;
  #outputTimer: NodeJS.Timeout | undefined;
  #checkingOutput: Promise<void> | null = null;

  constructor(options: VmHostOptions, deps: VmHostDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#logsFolder = join(dirname(options.folder), "logs");
    this.#ports = new PortPool({ ...options.vmPorts, random: Math.random() });
    const lives = () => [...this.#runs.values()].map(({ life }) => life);
    this.#alone = new Alone({ wantedEpoch: deps.wantedEpoch, lives });
    const { askLease: ask, onLease: onChange, logger } = deps;
    this.#volumes = new Volumes(join(dirname(options.folder), "volumes"), deps.madeVolumes);
    this.#leases = new Leases({ ask, onChange, logger, nowMs: uptimeMs });
  }

  /**
   * Finds the VMs of an earlier agent and publishes them as they are now. Stops nothing that has a record: what is
   * wanted is only known at the first `reconcile`. Call once, first.
   */
  async restore(): Promise<void> {
    const { folder } = this.#options;
    const broken = await removeBroken(folder, this.#deps.driver, this.#leaving.signal);
    for (const { vm, reason } of broken)
      this.#deps.logger.warn({ vm, reason }, "vm without a record removed");
    const found = await findVms(folder, this.#deps.driver);
    const alone = new Set(
      found.filter(({ record }) => isExclusive(record.release.spec)).map(({ entry }) => entry.app),
    );
    for (const one of found) this.#adopt(one, alone.has(one.entry.app));
    this.#outputTimer = setInterval(() => this.#checkOutput(), OUTPUT_CHECK_INTERVAL_MS);
    this.#outputTimer.unref();
  }

  /**
   * Makes it so: `wanted` is all that the records want of this host. VMs of an app whose record `isUnknown` are left as they
   * are. Returns at once; `publish` tells how it goes.
   */
  reconcile(wanted: readonly WantedVm[], isUnknown: (app: AppName) => boolean = () => false): void {
    if (this.#leaving.signal.aborted) return;
    this.#wanted = wanted;
    this.#isUnknown = isUnknown;
    const judged = [...this.#runs].filter(([, run]) => !isUnknown(run.life.entry.app));
    const plan = planVms(
      judged.map(([vm]) => vm),
      wanted,
    );
    for (const one of plan.start) this.#runs.set(one.vm, this.#create(one));
    // First: what is to run in the place of another asks the voters while that one ends.
    for (const one of [...plan.start, ...plan.keep]) {
      this.#runs.get(one.vm)?.step({ type: "want", phase: one.phase });
    }
    for (const vm of plan.stop) this.#runs.get(vm)?.step({ type: "unwant" });
  }

  status(): readonly VmStatus[] {
    return [...this.#runs.values()].map((run) => ({ entry: run.life.entry, phase: run.life.phase }));
  }

  /** Where each VM listens that has an address. */
  places(): readonly VmPlace[] {
    return this.status().flatMap(({ entry: { vm, app, address } }) =>
      address === null ? [] : [{ vm, app, ...address, ...this.#untilOf(vm) }],
    );
  }

  #untilOf(vm: VmName): Pick<VmPlace, "untilMs"> {
    const untilMs = this.#leases.untilMs(vm);
    if (untilMs !== undefined) return { untilMs };
    // Nobody may take one that has no lease now, since it does not run, for one that needs none.
    return this.#runs.get(vm)?.life.release.spec.fence === undefined ? {} : { untilMs: 0 };
  }

  /** Of an app that was destroyed with its data. Nothing, while something of it runs here. */
  async removeVolumes(app: AppName): Promise<void> {
    if (this.namesOf(app).length === 0) await this.#volumes.remove(app);
  }

  /** Of that app, whatever is wanted: a process of each runs here, or may. */
  namesOf(app: AppName): readonly VmName[] {
    return this.status().flatMap(({ entry }) => (entry.app === app ? [entry.vm] : []));
  }

  /** Where a VM's output is, also of one that is gone, for a while; null: there is none here. */
  logFile(vm: VmName): string | null {
    const files = [this.#runs.get(vm)?.outputFile, keptLogFile(this.#logsFolder, vm)];
    return files.find((file) => file !== undefined && existsSync(file)) ?? null;
  }

  /** Stops all VMs. A later agent finds them ended, and starts again those that are wanted. */
  async stopAll(): Promise<void> {
    this.#wanted = [];
    const runs = [...this.#runs.values()];
    for (const run of runs) run.step({ type: "end" });
    await Promise.all(runs.map((run) => run.untilAtRest()));
  }

  /** Ends all waits, checks and timers; the VMs run on. Nothing is done or published after it. */
  async leave(): Promise<void> {
    this.#leaving.abort();
    clearInterval(this.#outputTimer);
    await Promise.all([...this.#runs.values()].map((run) => run.leave()));
    await this.#leases.leave();
    await this.#checkingOutput;
  }

  #create(wanted: WantedVm): VmRun {
    const { vm, app, release, isCommand = false } = wanted;
    const { host } = this.#options;
    const entry = newVmEntry({ vm, app, release: release.number, host });
    const bind = this.#bindOf(release);
    const isAlone = !isCommand && (isExclusive(release.spec) || this.#hasExclusive(app));
    return this.#run(new VmLife({ release, ...bind, isCommand, isAlone, entry, state: { state: "idle" } }));
  }

  /** Of another release perhaps than the one that comes: it is alone as long as it runs. */
  #hasExclusive(app: AppName): boolean {
    return [...this.#runs.values()].some(({ life }) => life.entry.app === app && life.isExclusive);
  }

  #adopt(found: FoundVm, isOfExclusive: boolean): void {
    const { vm, record, state } = found;
    const { host } = this.#options;
    const isDown = isOfExclusive && state.state !== "running";
    // Nobody says that it is wanted before a majority was read.
    const waits = isDown ? { reason: waitReason(found.entry.reason) } : {};
    const entry = { ...found.entry, host, ...waits };
    if (entry.address !== null) this.#ports.keep(vm, entry.address.port);
    const { release, isCommand = false } = record;
    const isAlone = !isCommand && isOfExclusive;
    const run = this.#run(
      new VmLife({ release, ...this.#bindOf(release), isCommand, isAlone, entry, state }),
    );
    this.#runs.set(vm, run);
    this.#deps.logger.info({ vm, to: state.state, health: entry.health }, "vm found again");
    run.resume();
  }

  /** Of its next start. */
  #bindOf({ spec }: Release): { readonly bindHost: string; readonly isGated: boolean } {
    const isBehindGate = this.#options.hasGate && isGated(spec);
    return { bindHost: isBehindGate ? BEHIND_GATE : this.#options.bindHost, isGated: isBehindGate };
  }

  #run(life: VmLife): VmRun {
    const { host, folder } = this.#options;
    const { vm } = life.entry;
    const own = { host, folder: join(folder, vm), logsFolder: this.#logsFolder };
    const onGone = () => this.#onGone(vm);
    const parts = { ports: this.#ports, alone: this.#alone, leases: this.#leases, volumes: this.#volumes };
    return new VmRun(life, own, { ...this.#deps, ...parts, onGone });
  }

  /** It may be wanted again meanwhile: then it begins anew. */
  #onGone(vm: VmName): void {
    this.#runs.delete(vm);
    if (this.#wanted.some((one) => one.vm === vm)) this.reconcile(this.#wanted, this.#isUnknown);
  }

  /** One look at a time: a disk that hangs must not pile them up. */
  #checkOutput(): void {
    this.#checkingOutput ??= this.#boundOutputs().finally(() => {
      this.#checkingOutput = null;
    });
  }

  async #boundOutputs(): Promise<void> {
    for (const run of [...this.#runs.values()]) {
      const { vm } = run.life.entry;
      try {
        const isCut = await boundOutput(run.outputFile, BOUND_WHILE_RUNNING);
        if (isCut) this.#deps.logger.warn({ vm }, "vm output over its bound was cut");
      } catch (error) {
        this.#deps.logger.error({ vm, err: error }, "vm output cannot be cut");
      }
    }
  }
}

function waitReason(before: string | null): string {
  return before === null || before.includes(WAIT_TEXT) ? WAIT_TEXT : `${before}; ${WAIT_TEXT}`;
}
