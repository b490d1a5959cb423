// Route feed: from certified records and the mesh's changes to the table in force. A burst of changes is one new table.

import type { Logger } from "pino";
import {
  type AppName,
  type CertifiedApps,
  type Entry,
  type EntryChange,
  HOST_PREFIX,
  hostKey,
  type MemberName,
  type Mesh,
  type OwnerId,
  VM_PREFIX,
  type VmName,
  type VmRouting,
  vmKey,
} from "../../mesh/index.ts";
import type { AckState } from "../core/ack-state.ts";
import { explainVm } from "../core/explain-vm.ts";
import { RouteFold, type Verdict } from "../core/route-fold.ts";
import { EMPTY_TABLE, type RouteTable } from "../core/route-table.ts";
import { AwayHosts } from "./away-hosts.ts";
import { monotonicUnixMs } from "./clock.ts";
import { readHostProof } from "./host-proof.ts";

export interface RouteFeedDeps {
  readonly mesh: Mesh;
  /** Started before us: a record is told in the same breath as the entry in which it came. */
  readonly apps: Pick<CertifiedApps, "all" | "onApp">;
  readonly acks: AckState;
  readonly logger: Logger;
}

export class RouteFeed {
  readonly #fold = new RouteFold();
  readonly #deps: RouteFeedDeps;
  readonly #listeners: ((table: RouteTable) => void)[] = [];
  readonly #waiters = new Set<() => void>();
  readonly #away: AwayHosts;
  #names: ReadonlyMap<OwnerId, MemberName> = new Map();
  /** Who was believed to be these hosts before the mesh knew any by those names. */
  readonly #proven = new Map<MemberName, OwnerId>();
  /** Of owners that are no members any more, or not shown. */
  readonly #formerNames = new Map<OwnerId, MemberName>();
  #table: RouteTable = EMPTY_TABLE;
  #isDue = false;
  #isStopped = false;
  #unsubscribes: readonly (() => void)[] = [];
  #refused = 0;

  constructor(deps: RouteFeedDeps) {
    this.#deps = deps;
    this.#away = new AwayHosts(deps.mesh, (hosts) => this.#setAway(hosts));
  }

  /** The table in force: every dispatch from here on uses it. */
  get table(): RouteTable {
    return this.#table;
  }

  /** Entries of VMs that could not be read, since the start. */
  get refused(): number {
    return this.#refused;
  }

  start(): void {
    const { mesh, apps } = this.#deps;
    this.#unsubscribes = [
      apps.onApp((app) => this.#judge(this.#fold.takeCommitted(app))),
      mesh.onChange((change) => (change.path === "forgotten" ? this.#forget(change) : this.#take(change))),
      mesh.onSettled(() => this.#flushIfDue()),
      mesh.onMembers(() => this.#lookAtMembers()),
    ];
    for (const app of apps.all()) this.#judge(this.#fold.takeCommitted(app));
    this.#lookAtMembers();
    this.flush();
  }

  stop(): void {
    for (const unsubscribe of this.#unsubscribes) unsubscribe();
    this.#isStopped = true;
    this.#away.stop();
    for (const wake of [...this.#waiters]) wake();
  }

  /** Called in the same breath in which a table comes into force, in the order of subscription. */
  onTable(listener: (table: RouteTable) => void): void {
    this.#listeners.push(listener);
  }

  /** Resolves at the next table, or after `delayMs`, or on abort. */
  async nextTable(delayMs: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = () => resolve();
    const timer = setTimeout(wake, delayMs);
    this.#waiters.add(wake);
    signal.addEventListener("abort", wake, { once: true });
    await promise;
    clearTimeout(timer);
    this.#waiters.delete(wake);
    signal.removeEventListener("abort", wake);
  }

  /** Hosts of those VMs of `app` whose entries are not here as its record wants them. */
  hostsMissing(app: AppName): readonly MemberName[] {
    const lacking = new Set(this.#fold.lacking(app));
    const vms = this.#fold.record(app)?.record.vms ?? [];
    return [...new Set(vms.filter(({ vm }) => lacking.has(vm)).map(({ host }) => host))];
  }

  /** Whether the table in force routes to `vm`, and if not, why not. */
  explain(vm: VmName): VmRouting {
    this.flush();
    return explainVm(this.#fold.known(vm), this.#table);
  }

  /** Builds the table now instead of at the end of this turn. */
  flush(): void {
    this.#isDue = false;
    const table = this.#fold.build();
    if (table === this.#table) return;
    this.#table = table;
    for (const listener of this.#listeners) listener(table);
    for (const wake of [...this.#waiters]) wake();
  }

  /**
   * Entries of a host that the mesh has not told of, as it signed them, from whomever. It speaks for itself alone, and nothing is taken of
   * who has a name that another one has here, or was forgotten. Nor what this app's record does not need: who sends without end is not
   * kept without end.
   */
  takeProven(app: AppName, proof: Uint8Array): void {
    const { mesh, logger } = this.#deps;
    const host = readHostProof(proof, mesh);
    if (!host.ok) {
      logger.debug({ reason: host.error }, "proof of entries refused");
      return;
    }
    const { owner, name, entries } = host.value;
    if (!this.hostsMissing(app).includes(name)) return;
    const vms = this.#fold.record(app)?.record.vms.filter((vm) => vm.host === name) ?? [];
    const keys = new Set([hostKey(name), ...vms.map(({ vm }) => vmKey(vm))]);
    this.#proven.set(name, owner);
    for (const entry of entries) if (keys.has(entry.key)) this.#judge(this.#fold.takeEntry(entry, name));
  }

  #take(entry: Entry): void {
    const owner = this.#names.get(entry.owner);
    if (owner !== undefined) this.#judge(this.#fold.takeEntry(entry, owner));
  }

  /** Its name may be gone from the members before the first change that tells of it; or another owner has it by now. */
  #forget({ owner }: EntryChange): void {
    const host = this.#names.get(owner) ?? this.#formerNames.get(owner);
    this.#formerNames.delete(owner);
    if (host === undefined || this.#deps.mesh.named(host).length > 0) return;
    this.#fold.forgetHost(host);
    this.#flushSoon();
  }

  #judge(verdict: Verdict): void {
    if (verdict.kind === "refused") {
      this.#refused += 1;
      this.#deps.logger.debug({ reason: verdict.reason }, "entry refused");
      return;
    }
    if (verdict.kind !== "changed" || verdict.app === null) return;
    const epoch = this.#fold.record(verdict.app)?.epoch ?? 0;
    this.#deps.acks.seen(verdict.app, epoch, monotonicUnixMs());
    this.#flushSoon();
  }

  /** At the latest at the end of this turn; of what the mesh told, once it has told all of one step: no turn's wait for each change. */
  #flushSoon(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    queueMicrotask(() => this.#flushIfDue());
  }

  #flushIfDue(): void {
    if (this.#isDue && !this.#isStopped) this.flush();
  }

  #lookAtMembers(): void {
    this.#nameOwners();
    this.#away.look();
  }

  #setAway(hosts: ReadonlySet<MemberName>): void {
    if (this.#fold.setAway(hosts)) this.#flushSoon();
  }

  /** From now on the mesh says who it is. What another one said under that name, at whatever version, counts no more. */
  #knows(name: MemberName, owner: OwnerId): void {
    const proven = this.#proven.get(name);
    this.#proven.delete(name);
    if (proven !== undefined && proven !== owner) this.#fold.forgetHost(name);
  }

  /** What is said of a VM counts by its writer's name; of who got a name now, all is taken that was passed over. */
  #nameOwners(): void {
    const { mesh } = this.#deps;
    const names = new Map(mesh.members().map(({ owner, name }) => [owner, name]));
    const isSame =
      names.size === this.#names.size && [...names].every(([owner, name]) => this.#names.get(owner) === name);
    if (isSame) return;
    for (const [owner, name] of this.#names) if (!names.has(owner)) this.#formerNames.set(owner, name);
    for (const owner of names.keys()) this.#formerNames.delete(owner);
    this.#names = names;
    for (const [owner, name] of names) this.#knows(name, owner);
    for (const prefix of [HOST_PREFIX, VM_PREFIX])
      for (const entry of mesh.store.list(prefix)) this.#take(entry);
  }
}
