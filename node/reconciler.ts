// Reconciler: keeps this host's VMs what the records want of them. Level-triggered: an order lost is an order repeated.

import type { Logger } from "pino";
import {
  ALONE_STANDINGS_MAX,
  type AloneStanding,
  type AppRecord,
  type BundleHash,
  type CommittedApp,
  isAsleep,
  MAY_RUN_VMS_MAX,
  type MemberName,
  type Mesh,
  placedVms,
  type Registers,
} from "../mesh/index.ts";
import { readRecords } from "./read-records.ts";
import type { ContentStore } from "./releases/content-store.ts";
import { namedEnvs } from "./releases/env-rights.ts";
import type { Envs } from "./releases/envs.ts";
import type { SpareNeeds, Spares } from "./releases/spares.ts";
import type { VmHost, WantedVm } from "./vms/vm-host.ts";

/** What no record names is looked for this often: disk space is not urgent. */
const UNUSED_INTERVAL_MS = 10 * 60 * 1000;

export interface ReconcilerDeps {
  readonly mesh: Mesh;
  readonly registers: Pick<Registers, "apps" | "directory">;
  readonly vmHost: Pick<VmHost, "reconcile" | "namesOf" | "removeVolumes">;
  /** What this host confirms of apps of which something may run here still is another thing. */
  readonly onAlone: () => void;
  readonly bundles: Pick<ContentStore, "removeUnused">;
  readonly envs: Pick<Envs, "removeUnused">;
  /** Of what may be woken here. */
  readonly spares: Pick<Spares, "keep">;
  readonly logger: Pick<Logger, "debug" | "info" | "error">;
}

export class Reconciler {
  readonly #deps: ReconcilerDeps;
  #alone: readonly AloneStanding[] = [];
  /** The records were held as a majority had them, and this host does by them. */
  #isCurrent = false;
  #isLookDue = false;
  readonly #stopping = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #unsubscribe: () => void = () => {};
  #timer: NodeJS.Timeout | undefined;
  #removing: Promise<void> = Promise.resolve();

  constructor(deps: ReconcilerDeps) {
    this.#deps = deps;
  }

  /**
   * Begins once the records are held as a majority of the voters has them: before that, what no record wants is only what none was
   * seen for.
   */
  start(): void {
    this.#running = this.#run().catch((error: unknown) => {
      if (!this.#stopping.signal.aborted) throw error;
    });
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    // First: it may be about to subscribe.
    await this.#running;
    this.#unsubscribe();
    clearInterval(this.#timer);
    await this.#removing;
  }

  async #run(): Promise<void> {
    await readRecords(this.#deps, this.#stopping.signal);
    this.#unsubscribe = this.#deps.registers.apps.onApp(() => this.#reconcile());
    this.#reconcile();
    this.#timer = setInterval(() => {
      this.#removing = this.#removeUnused();
    }, UNUSED_INTERVAL_MS);
  }

  #reconcile(): void {
    const { mesh, registers, vmHost, spares } = this.#deps;
    const wanted = registers.apps.all().flatMap((committed) => wantedHere(committed, mesh.self.name));
    vmHost.reconcile(wanted, (app) => registers.apps.isUnknown(app));
    spares.keep(spareNeeds(registers.apps.all(), mesh.self.name));
    this.#isCurrent = true;
    this.vmsChanged();
  }

  /** Of apps whose records say that something may run here still. */
  get alone(): readonly AloneStanding[] {
    return this.#alone;
  }

  /** Some VM came or went. What changes within one turn of the loop is looked at once. */
  vmsChanged(): void {
    if (this.#isLookDue || !this.#isCurrent) return;
    this.#isLookDue = true;
    setImmediate(() => {
      this.#isLookDue = false;
      this.#lookAtAlone();
    });
  }

  #lookAtAlone(): void {
    const { mesh, registers, vmHost, onAlone } = this.#deps;
    if (this.#stopping.signal.aborted) return;
    for (const { record } of registers.apps.all()) this.#removeVolumes(record);
    const awaited = registers.apps
      .all()
      .filter(({ record }) => record.mayRun?.some(({ host }) => host === mesh.self.name) === true)
      .filter(({ record: { app } }) => !registers.apps.isUnknown(app));
    const alone = awaited
      .map(({ epoch, record: { app } }) => ({ app, epoch, vms: vmHost.namesOf(app) }))
      // Of too many it cannot be said in full what they are: nothing is.
      .filter(({ vms }) => vms.length <= MAY_RUN_VMS_MAX)
      .slice(0, ALONE_STANDINGS_MAX);
    if (JSON.stringify(alone) === JSON.stringify(this.#alone)) return;
    this.#alone = alone;
    onAlone();
  }

  #removeVolumes({ app, deleted, home }: AppRecord): void {
    if (!deleted || home?.isRemoved !== true || home.host !== this.#deps.mesh.self.name) return;
    void this.#deps.vmHost.removeVolumes(app).catch((error: unknown) => {
      this.#deps.logger.error({ err: error, app }, "the data of an app that was destroyed cannot be removed");
    });
  }

  async #removeUnused(): Promise<void> {
    const { apps } = this.#deps.registers;
    if (apps.isAnyUnknown) return;
    const records = apps.all().map((committed) => committed.record);
    const releases = records.flatMap((record) => record.releases);
    const used = new Set<BundleHash>(releases.map((release) => release.spec.bundle.hash));
    try {
      const removed = await this.#deps.bundles.removeUnused(used);
      if (removed.length > 0) this.#deps.logger.info({ removed: removed.length }, "unused bundles removed");
      const envs = await this.#deps.envs.removeUnused(namedEnvs(apps.all()));
      if (envs > 0) this.#deps.logger.info({ removed: envs }, "envs that no record names removed");
    } catch (error) {
      this.#deps.logger.error({ err: error }, "what releases left cannot be removed");
    }
  }
}

/** Of the releases that requests start, where they ran before. */
function spareNeeds(apps: readonly CommittedApp[], host: MemberName): SpareNeeds {
  const held = apps.filter(
    ({ record: { hold } }) => hold?.by === "idle" && hold.ranOn?.includes(host) !== false,
  );
  const bundles = (of: readonly CommittedApp[]) =>
    of.flatMap(({ record: { releases, current } }) =>
      releases.flatMap(({ number, spec }) => (number === current ? [spec.bundle.hash] : [])),
    );
  const asleep = held.filter(({ record }) => isAsleep(record));
  return { asleep: new Set(bundles(asleep)), waking: new Set(bundles(held)) };
}

function wantedHere({ record }: CommittedApp, host: MemberName): readonly WantedVm[] {
  const { app, releases } = record;
  return placedVms(record)
    .filter((vm) => vm.host === host)
    .flatMap(({ vm, release: number, phase }): readonly WantedVm[] => {
      const release = releases.find((candidate) => candidate.number === number);
      if (release === undefined) return [];
      if (phase === "command") return [{ vm, app, release, phase: "starting", isCommand: true }];
      return [{ vm, app, release, phase }];
    });
}
