// Route fold: from certified records, and from the entries that hosts wrote of their VMs, to the routes of each app. The order
// in which they come does not matter, nor that one comes twice: of records the highest epoch counts, of a VM's entries the
// newest version.

import {
  type AppName,
  type AppRecord,
  type CommittedApp,
  compareVersions,
  type DesiredVm,
  decodeRecord,
  describeVersion,
  type Entry,
  hostEntryShape,
  hostKey,
  idleAfterMsOf,
  isGated,
  isPreviewed,
  isUnderWay,
  type MemberName,
  previewHostnames,
  type Release,
  type Version,
  VM_PREFIX,
  type VmEntry,
  type VmName,
  vmEntryShape,
  vmKey,
} from "../../mesh/index.ts";
import { DELETED_VMS_MAX } from "../limits.ts";
import type { KnownVm } from "./explain-vm.ts";
import { byName, isAwaitedBy, isReached, reachedVms } from "./reached-vms.ts";
import {
  type AppRoute,
  EMPTY_TABLE,
  type Endpoint,
  holdRouteOf,
  NOT_HELD,
  nextTable,
  type RouteTable,
  reachedEndpoints,
} from "./route-table.ts";
import { clientsRouteOf } from "./sticky.ts";

/** `changed`: a table built now may differ. `ignored`: known, older, or not its writer's to say. `refused`: cannot be read. */
export type Verdict =
  | { readonly kind: "changed"; readonly app: AppName | null }
  | { readonly kind: "ignored" }
  | { readonly kind: "refused"; readonly reason: string };

type Address = Endpoint["address"];

/** What one host says of one VM. */
interface Heard {
  /** Of the newest entry, tombstones included. */
  version: Version;
  /** Null: its host deleted it. */
  entry: VmEntry | null;
  /** The last address that it was given, kept while it has none: a table is not emptied by a restart. */
  address: { readonly version: Version; readonly at: Address; readonly isGated: boolean } | null;
}

interface Gate {
  /** Of its host's entry. */
  readonly version: Version;
  readonly at: Address;
}

const IGNORED: Verdict = { kind: "ignored" };

export class RouteFold {
  readonly #records = new Map<AppName, CommittedApp>();
  /** By VM, then by the host that says it: the record decides later which of them is believed. */
  readonly #heard = new Map<VmName, Map<MemberName, Heard>>();
  /** Which app's table a VM is in. */
  readonly #appOf = new Map<VmName, AppName>();
  /** Of the records held, as the last route had them. */
  readonly #endpoints = new Map<VmName, Endpoint>();
  readonly #reached = new WeakMap<AppRecord, readonly DesiredVm[]>();
  /** Where the gates of hosts are. The object stays as long as what it says. */
  readonly #gates = new Map<MemberName, Gate>();
  readonly #dirty = new Set<AppName>();
  #away: ReadonlySet<MemberName> = new Set();
  /** VMs that a host deleted, the latest last. */
  readonly #deleted = new Set<VmName>();
  #table: RouteTable = EMPTY_TABLE;

  /**
   * What a host says of a VM, and of itself; other entries are none of ours. `owner`: the name of the member that wrote it. Of an
   * owner without a name nothing is taken: offer it again later.
   */
  takeEntry(entry: Pick<Entry, "key" | "value" | "version">, owner: MemberName): Verdict {
    if (entry.key === hostKey(owner)) return this.#takeHost(entry, owner);
    return entry.key.startsWith(VM_PREFIX) ? this.#takeVm(entry, owner) : IGNORED;
  }

  /** Hosts that are held dead, or left. Returns whether a table built now may differ. */
  setAway(hosts: ReadonlySet<MemberName>): boolean {
    const changed = new Set(
      [...hosts, ...this.#away].filter((host) => hosts.has(host) !== this.#away.has(host)),
    );
    this.#away = hosts;
    for (const { record } of this.#records.values()) {
      if (record.vms.some(({ host }) => changed.has(host))) this.#dirty.add(record.app);
    }
    return changed.size > 0;
  }

  /** This host is gone for good, as a person said: what it told of its VMs counts no more. */
  forgetHost(host: MemberName): void {
    if (this.#gates.delete(host)) this.#noteHost(host);
    for (const [vm, byHost] of this.#heard) {
      if (!byHost.delete(host)) continue;
      if (byHost.size === 0) this.#heard.delete(vm);
      const app = this.#appOf.get(vm);
      if (app !== undefined) this.#dirty.add(app);
    }
  }

  /** A record of which it was checked that a majority of the voters signed it. */
  takeCommitted(committed: CommittedApp): Verdict {
    const { app } = committed.record;
    const held = this.#records.get(app);
    if (held !== undefined && held.epoch >= committed.epoch) return IGNORED;
    this.#records.set(app, committed);
    for (const { vm } of held?.record.vms ?? []) {
      this.#appOf.delete(vm);
      this.#endpoints.delete(vm);
    }
    for (const { vm } of committed.record.vms) this.#appOf.set(vm, app);
    this.#dirty.add(app);
    return { kind: "changed", app };
  }

  /** The newest record held. */
  record(app: AppName): CommittedApp | undefined {
    return this.#records.get(app);
  }

  /** VMs of which an entry that the record requires, or any entry of one that it routes to, is not here. */
  lacking(app: AppName): readonly VmName[] {
    const vms = this.#records.get(app)?.record.vms ?? [];
    const isLacking = (desired: DesiredVm) =>
      this.#describeMissing(desired) !== null || (isReached(desired) && this.#heardOf(desired) === undefined);
    return vms.filter(isLacking).map(({ vm }) => vm);
  }

  /** What is held of one VM, for the person who asks why it is routed or not. */
  known(vm: VmName): KnownVm {
    const app = this.#appOf.get(vm);
    const committed = app === undefined ? undefined : this.#records.get(app);
    const desired = committed?.record.vms.find((candidate) => candidate.vm === vm);
    const wanted = committed === undefined || desired === undefined ? null : { committed, desired };
    const said = [...(this.#heard.get(vm) ?? [])].map(([host, { entry }]) => ({ host, entry }));
    return { vm, wanted, said };
  }

  /** The table with all that was taken. Builds only the apps whose inputs changed. */
  build(): RouteTable {
    const routes: AppRoute[] = [];
    for (const app of this.#dirty) {
      const committed = this.#records.get(app);
      if (committed !== undefined) routes.push(this.#buildRoute(committed));
    }
    this.#dirty.clear();
    this.#table = nextTable(this.#table, routes);
    return this.#table;
  }

  /** A host whose entry is gone keeps its gate: its agent's restart must not empty a table. */
  #takeHost({ key, value, version }: Pick<Entry, "key" | "value" | "version">, owner: MemberName): Verdict {
    const held = this.#gates.get(owner);
    if (value === null || (held !== undefined && compareVersions(version, held.version) <= 0)) return IGNORED;
    const decoded = decodeRecord(hostEntryShape, value);
    if (!decoded.ok) return { kind: "refused", reason: `${key}: ${decoded.error}` };
    const { gate } = decoded.value;
    if (gate === undefined) return this.#gates.delete(owner) ? this.#noteHost(owner) : IGNORED;
    const isSame = held?.at.host === gate.host && held.at.port === gate.port;
    this.#gates.set(owner, { version, at: isSame ? held.at : gate });
    return isSame ? IGNORED : this.#noteHost(owner);
  }

  #noteHost(host: MemberName): Verdict {
    const apps = [...this.#records.values()].filter(({ record }) =>
      record.vms.some((vm) => vm.host === host),
    );
    for (const { record } of apps) this.#dirty.add(record.app);
    return { kind: "changed", app: apps[0]?.record.app ?? null };
  }

  #takeVm({ key, value, version }: Pick<Entry, "key" | "value" | "version">, owner: MemberName): Verdict {
    const name = key.slice(VM_PREFIX.length) as VmName;
    const held = this.#heard.get(name)?.get(owner);
    const isNewer = held === undefined || compareVersions(version, held.version) > 0;
    const isNewerAddress = held !== undefined && isOlder(held.address?.version, version);
    if (!isNewer && !isNewerAddress) return IGNORED;
    const decoded = value === null ? null : decodeRecord(vmEntryShape, value);
    if (decoded !== null && !decoded.ok) return { kind: "refused", reason: `${key}: ${decoded.error}` };
    const entry = decoded === null ? null : decoded.value;
    if (entry !== null && vmKey(entry.vm) !== key) {
      return { kind: "refused", reason: `${key}: it is the entry of ${entry.vm}` };
    }
    this.#hear(name, owner, { version, entry });
    const app = this.#appOf.get(name) ?? null;
    if (app !== null) this.#dirty.add(app);
    return { kind: "changed", app };
  }

  #hear(vm: VmName, host: MemberName, { version, entry }: Pick<Heard, "version" | "entry">): void {
    const byHost = this.#heard.get(vm) ?? new Map<MemberName, Heard>();
    this.#heard.set(vm, byHost);
    const held = byHost.get(host);
    const heard: Heard = held ?? { version, entry, address: null };
    byHost.set(host, heard);
    if (compareVersions(version, heard.version) > 0) Object.assign(heard, { version, entry });
    if (entry?.address && isOlder(heard.address?.version, version)) {
      heard.address = { version, at: entry.address, isGated: entry.gated === true };
    }
    if (heard.entry === null) this.#noteDeleted(vm);
  }

  /** What was said of deleted VMs is kept for a while: an older entry of theirs must not count as news. */
  #noteDeleted(vm: VmName): void {
    this.#deleted.delete(vm);
    this.#deleted.add(vm);
    for (const oldest of this.#deleted) {
      if (this.#deleted.size <= DELETED_VMS_MAX) return;
      this.#deleted.delete(oldest);
      this.#forgetDeleted(oldest);
    }
  }

  #forgetDeleted(vm: VmName): void {
    const byHost = this.#heard.get(vm);
    if (byHost === undefined || this.#appOf.has(vm)) return;
    for (const [host, heard] of byHost) if (heard.entry === null) byHost.delete(host);
    if (byHost.size === 0) this.#heard.delete(vm);
  }

  #buildRoute({ epoch, record }: CommittedApp): AppRoute {
    const reached = this.#reached.get(record) ?? reachedVms(record);
    this.#reached.set(record, reached);
    const opened = this.#opened(record);
    const all = [...reached.flatMap((desired) => this.#endpoint(record, desired) ?? []), ...opened];
    const addressed = new Set(all.map(({ vm }) => vm));
    const awaited = reached.filter(isReached).filter(isAwaitedBy(record));
    const namesIn = (wanted: DesiredVm["phase"]) =>
      new Set(reached.flatMap(({ vm, phase }) => (phase === wanted ? [vm] : [])));
    const [waiting, pinned] = [namesIn("standby"), namesIn("cordoned")];
    const isOpen = ({ vm }: Endpoint) => !waiting.has(vm) && !pinned.has(vm);
    const endpoints = waiting.size + pinned.size === 0 ? all : all.filter(isOpen);
    const idleAfterMs = record.deleted ? null : idleAfterMsOf(record);
    const route: AppRoute = {
      app: record.app,
      epoch,
      hostnames: record.deleted ? [] : record.hostnames.map((hostname) => hostname.toLowerCase()),
      endpoints,
      weights: record.weights ?? null,
      bake: bakeOf(record),
      clients: clientsRouteOf(
        record,
        all.filter(({ vm }) => pinned.has(vm)),
      ),
      hold: holdRouteOf(record, opened.length > 0),
      ...(idleAfterMs === null ? {} : { idleAfterMs }),
      standby: waiting.size === 0 ? [] : all.filter(({ vm }) => waiting.has(vm)),
      preview: null,
      unaddressed: reached.map(({ vm }) => vm).filter((vm) => !addressed.has(vm)),
      missing: record.vms.flatMap((desired) => this.#describeMissing(desired) ?? []),
      awaited: awaited.map(({ vm }) => vm),
      lost: awaited.flatMap((desired) => this.#describeLost(desired) ?? []),
    };
    return { ...route, preview: previewOf(route, record) };
  }

  /** Of those that are opening: the ones that get requests by now. */
  #opened(record: AppRecord): readonly Endpoint[] {
    return record.vms
      .filter(({ phase }) => phase === "opening")
      .sort(byName)
      .flatMap((vm) => this.#endpoint(record, vm) ?? [])
      .filter(({ healthy, hostAway }) => healthy && !hostAway);
  }

  #heardOf({ vm, host }: DesiredVm): Heard | undefined {
    return this.#heard.get(vm)?.get(host);
  }

  #endpoint(record: AppRecord, desired: DesiredVm): Endpoint | null {
    const heard = this.#heardOf(desired);
    const { vm, release, host } = desired;
    // Behind a gate no more is needed than that the record routes to it: where it listens its gate knows.
    const gate = isGatedIn(record, release) ? this.#gates.get(host) : undefined;
    const address = gate?.at ?? addressOf(heard);
    if (address === undefined) return null;
    const healthy = isHealthy(heard);
    const hostAway = this.#away.has(host);
    const isBehindGate = gate !== undefined;
    const before = this.#endpoints.get(vm);
    if (
      before?.address === address &&
      before.isGated === isBehindGate &&
      before.healthy === healthy &&
      before.hostAway === hostAway
    )
      return before;
    const drainTimeoutMs = drainTimeoutOf(record, release);
    const { app } = record;
    const endpoint = {
      vm,
      app,
      release,
      host,
      address,
      isGated: isBehindGate,
      healthy,
      hostAway,
      drainTimeoutMs,
    };
    this.#endpoints.set(vm, endpoint);
    return endpoint;
  }

  #describeMissing(desired: DesiredVm): string | null {
    if (desired.requires === null) return null;
    const heard = this.#heardOf(desired);
    if (heard !== undefined && compareVersions(heard.version, desired.requires) >= 0) return null;
    const has = heard === undefined ? "nothing of it is here" : `here is ${describeVersion(heard.version)}`;
    return `waits for ${desired.vm} of ${desired.host} at ${describeVersion(desired.requires)}: ${has}`;
  }

  #describeLost(desired: DesiredVm): string | null {
    const heard = this.#heardOf(desired);
    if (heard === undefined) return null;
    if (heard.entry === null) return `${desired.vm} is gone from ${desired.host}`;
    const { state } = heard.entry;
    return state === "exited" || state === "failed" ? `${desired.vm} ${state} on ${desired.host}` : null;
  }
}

/** Where it is dialled without a gate. One that only its gate reaches listens on its host's loopback: here that is somebody else. */
function addressOf(heard: Heard | undefined): Address | undefined {
  const address = heard?.address;
  return address?.isGated === false ? address.at : undefined;
}

function isOlder(held: Version | undefined, version: Version): boolean {
  return held === undefined || compareVersions(held, version) < 0;
}

function isHealthy(heard: Heard | undefined): boolean {
  return heard?.entry?.state === "running" && heard.entry.health === "healthy";
}

function previewOf(route: AppRoute, record: AppRecord): AppRoute | null {
  const hostnames = previewHostnames(record).map((hostname) => hostname.toLowerCase());
  if (hostnames.length === 0) return null;
  const previewed = new Set(record.vms.flatMap((vm) => (isPreviewed(vm, record) ? [vm.vm] : [])));
  const endpoints = reachedEndpoints(route).filter(({ vm }) => previewed.has(vm));
  return { ...route, hostnames, endpoints, weights: null, standby: [], clients: null, hold: NOT_HELD };
}

function bakeOf({ rollout }: AppRecord): AppRoute["bake"] {
  const step = isUnderWay(rollout) ? rollout?.step : null;
  return rollout == null || step?.kind !== "bake" ? null : { rollout: rollout.id, step: step.number };
}

function isGatedIn(record: AppRecord, release: number): boolean {
  const found = releaseOf(record, release);
  return found === undefined || isGated(found.spec);
}

export function drainTimeoutOf(record: AppRecord, release: number): number {
  return releaseOf(record, release)?.spec.deploy.drainTimeoutMs ?? 0;
}

/** A record keeps the last few releases; for one that it no longer has, its newest speaks. */
function releaseOf({ releases }: AppRecord, release: number): Release | undefined {
  return releases.find(({ number }) => number === release) ?? releases.at(-1);
}
