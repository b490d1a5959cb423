// Reconciler: keeps this host's VMs what the records want of them. Level-triggered: an order lost is an order repeated.

import type { Logger } from "pino";
import type {
  BundleHash,
  CertifiedApps,
  CommittedApp,
  MemberName,
  MemberView,
  Mesh,
  OwnerId,
} from "../mesh/index.ts";
import type { BundleStore } from "./releases/bundle-store.ts";
import { unlessAborted } from "./unless-aborted.ts";
import type { VmHost, WantedVm } from "./vms/vm-host.ts";

/** One try to hold what a voter holds; repeated until it succeeds. */
const FIRST_SYNC_TIMEOUT_MS = 3_000;
/** Between two tries, unless a member comes meanwhile. */
const FIRST_SYNC_PAUSE_MS = 250;
/** Bundles that no record names are looked for this often: disk space is not urgent. */
const UNUSED_BUNDLES_INTERVAL_MS = 10 * 60 * 1000;

export interface ReconcilerDeps {
  readonly mesh: Mesh;
  readonly desired: Pick<CertifiedApps, "all" | "isUnknown" | "onApp" | "unreadable">;
  readonly voters: { readonly list: { readonly voters: readonly { readonly owner: OwnerId }[] } | undefined };
  readonly vmHost: Pick<VmHost, "reconcile">;
  readonly bundles: Pick<BundleStore, "removeUnused">;
  readonly logger: Pick<Logger, "info" | "error">;
}

export class Reconciler {
  readonly #deps: ReconcilerDeps;
  readonly #stopping = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #unsubscribe: () => void = () => {};
  #timer: NodeJS.Timeout | undefined;
  #removing: Promise<void> = Promise.resolve();

  constructor(deps: ReconcilerDeps) {
    this.#deps = deps;
  }

  /** Begins once a voter's records are held: before that, what no record wants is only what none was seen for. */
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
    while (!(await this.#holdsRecords())) await this.#pause();
    this.#stopping.signal.throwIfAborted();
    this.#unsubscribe = this.#deps.desired.onApp(() => this.#reconcile());
    this.#reconcile();
    this.#timer = setInterval(() => {
      this.#removing = this.#removeUnusedBundles();
    }, UNUSED_BUNDLES_INTERVAL_MS);
  }

  /** A majority of the voters, ourselves perhaps, have told us all they hold. */
  async #holdsRecords(): Promise<boolean> {
    const { mesh, voters: directory } = this.#deps;
    const all = directory.list?.voters ?? [];
    const isVoter = ({ owner }: MemberView): boolean => all.some((voter) => voter.owner === owner);
    const voters = mesh.members().filter((member) => isVoter(member) && member.connected);
    if (2 * voters.length <= all.length) return false;
    const signal = AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(FIRST_SYNC_TIMEOUT_MS)]);
    const others = voters.filter((voter) => !voter.self);
    try {
      await Promise.all(others.map((voter) => this.#deps.mesh.sync(voter.owner, signal)));
      return true;
    } catch {
      return false;
    }
  }

  /** Until a member comes or goes, or a little while has passed. Rejects when we stop. */
  async #pause(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, FIRST_SYNC_PAUSE_MS);
    const unsubscribe = this.#deps.mesh.onMembers(resolve);
    try {
      await unlessAborted(promise, this.#stopping.signal);
    } finally {
      clearTimeout(timer);
      unsubscribe();
    }
  }

  #reconcile(): void {
    const { desired, mesh, vmHost } = this.#deps;
    const wanted = desired.all().flatMap((committed) => wantedHere(committed, mesh.self.name));
    vmHost.reconcile(wanted, (app) => desired.isUnknown(app));
  }

  async #removeUnusedBundles(): Promise<void> {
    if (this.#deps.desired.unreadable.size > 0) return;
    const records = this.#deps.desired.all().map((committed) => committed.record);
    const releases = records.flatMap((record) => record.releases);
    const used = new Set<BundleHash>(releases.map((release) => release.spec.bundle.hash));
    try {
      const removed = await this.#deps.bundles.removeUnused(used);
      if (removed.length > 0) this.#deps.logger.info({ removed: removed.length }, "unused bundles removed");
    } catch (error) {
      this.#deps.logger.error({ err: error }, "unused bundles cannot be removed");
    }
  }
}

function wantedHere({ record }: CommittedApp, host: MemberName): readonly WantedVm[] {
  return record.vms
    .filter((vm) => vm.host === host)
    .flatMap(({ vm, release: number, phase }) => {
      const release = record.releases.find((candidate) => candidate.number === number);
      return release === undefined ? [] : [{ vm, app: record.app, release, phase }];
    });
}
