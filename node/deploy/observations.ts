// Observations: what the mesh holds of VMs, hosts and proxies, as facts for the machines. An entry counts only from the member it names.

import {
  compareVersions,
  decodeRecord,
  type Entry,
  HOST_PREFIX,
  type HostEntry,
  hostEntryShape,
  hostKey,
  type MemberName,
  type MemberView,
  type Mesh,
  type OwnerId,
  PROXY_PREFIX,
  proxyKey,
  type Start,
  type Version,
  VM_PREFIX,
  type VmEntry,
  vmEntryShape,
  vmKey,
} from "../../mesh/index.ts";
import type { HostFact, ObservedVm, ProxyFact } from "./core/facts.ts";
import type { RolloutInput } from "./core/rollout.ts";

/** A VM's entry came, changed or was deleted. */
export interface VmObservation {
  readonly entry: VmEntry;
  /** Null: deleted. */
  readonly observed: ObservedVm | null;
}

export class Observations {
  readonly #mesh: Mesh;
  readonly #wallMs: () => number;
  #forgottenSinceMs: ReadonlyMap<MemberName, number> = new Map();
  #members = new Map<OwnerId, MemberView>();
  /** By owner and key: a deletion names no app. Bounded by the mesh's store. */
  readonly #vms = new Map<string, ObservedVm>();
  readonly #gated = new Map<OwnerId, boolean>();

  /** `wallMs`: milliseconds since 1970. */
  constructor(mesh: Mesh, wallMs: () => number) {
    this.#mesh = mesh;
    this.#wallMs = wallMs;
  }

  /** Takes in who is there, and every VM entry. Returns what changed since the last time. */
  refresh(): readonly VmObservation[] {
    this.#members = new Map(this.#mesh.members().map((member) => [member.owner, member]));
    const entries = this.#mesh.store.list(VM_PREFIX);
    const changes = entries.flatMap((entry) => this.changeOf(entry) ?? []);
    const present = new Set(entries.filter((entry) => this.#isBelieved(entry)).map(slot));
    for (const [key, { entry }] of this.#vms) {
      if (present.has(key)) continue;
      this.#vms.delete(key);
      changes.push({ entry, observed: null });
    }
    return changes;
  }

  /** What one change of the store means, or null: it is no VM's, says nothing new, or is not believed. */
  changeOf(change: Entry): VmObservation | null {
    if (!change.key.startsWith(VM_PREFIX)) return null;
    const before = this.#vms.get(slot(change));
    if (change.value === null) {
      this.#vms.delete(slot(change));
      return before === undefined ? null : { entry: before.entry, observed: null };
    }
    const { version } = change;
    // Before it is decoded: at each change of the members every VM's entry is looked at.
    if (before !== undefined && compareVersions(before.version, version) === 0) return null;
    const decoded = decodeRecord(vmEntryShape, change.value);
    if (!decoded.ok || !this.#isBelieved(change)) return null;
    const entry = decoded.value;
    if (vmKey(entry.vm) !== change.key || entry.host !== this.nameOf(change.owner)) return null;
    this.#vms.set(slot(change), { entry, version });
    return { entry, observed: { entry, version } };
  }

  /** The name under which an owner is a member. */
  nameOf(owner: OwnerId): MemberName | undefined {
    return this.#members.get(owner)?.name;
  }

  vms(): Iterable<ObservedVm> {
    return this.#vms.values();
  }

  proxies(): readonly ProxyFact[] {
    return this.#held("proxy").map(({ name, owner, connected }) => {
      const registered = this.#mesh.store.get(owner, proxyKey(name)) !== undefined;
      return { proxy: name, registered, connected };
    });
  }

  /** Of two of one name the one that is connected. `loads`: VMs that records place on a host. */
  hosts(loads: ReadonlyMap<MemberName, number>): readonly HostFact[] {
    const all = this.#held("host");
    const here = new Set(all.flatMap(({ name, connected }) => (connected ? [name] : [])));
    const members = all.filter(({ name, connected }) => connected || !here.has(name));
    const held = members.map(({ name, owner, connected, liveness }) => {
      const value = this.#mesh.store.get(owner, hostKey(name))?.value;
      const dead = liveness.state === "dead" ? { deadSinceMs: liveness.sinceMs } : {};
      const head = this.#mesh.store.head(owner);
      const start = head === undefined ? {} : { start: startOf(head) };
      const said = value == null ? null : decodeRecord(hostEntryShape, value);
      if (said !== null) this.#gated.set(owner, said.ok && said.value.gate !== undefined);
      // As it said last: an agent that starts anew, or is away, takes no gate away.
      const gated = this.#gated.get(owner) === true ? { hasGate: true } : {};
      return {
        host: name,
        open: connected && value != null,
        connected,
        vms: loads.get(name) ?? 0,
        ...dead,
        ...start,
        ...gated,
        ...(said === null ? {} : said.ok ? saidOf(said.value) : UNREADABLE),
      };
    });
    return [...held, ...this.#forgotten(loads)];
  }

  /** Gone for good, as a person said: dead since we first saw that. A host of that name that is there again is another matter. */
  #forgotten(loads: ReadonlyMap<MemberName, number>): readonly HostFact[] {
    const names = new Set([...this.#members.values()].map(({ name }) => name));
    const gone = this.#mesh.forgotten().filter(({ name }) => !names.has(name));
    const before = this.#forgottenSinceMs;
    this.#forgottenSinceMs = new Map(gone.map(({ name }) => [name, before.get(name) ?? this.#wallMs()]));
    return [...this.#forgottenSinceMs].map(([host, deadSinceMs]) => {
      return { host, open: false, vms: loads.get(host) ?? 0, deadSinceMs };
    });
  }

  /** Members whose state we hold: of the others nothing can be said, least of all that something is not there. */
  #held(role: MemberView["role"]): readonly MemberView[] {
    const members = [...this.#members.values()].filter((member) => member.role === role);
    return members.filter((member) => this.#mesh.store.head(member.owner) !== undefined);
  }

  #isBelieved({ owner }: Entry): boolean {
    return this.#members.get(owner)?.role === "host";
  }
}

function startOf({ incarnation, startId }: Version): Start {
  return { incarnation, startId };
}

/** What a host of another cut says we cannot tell: nothing is confirmed by it. One that says nothing of the kind never heard of it. */
const UNREADABLE: Pick<HostFact, "alone"> = { alone: [] };

/** What a host says of itself that matters to who places VMs. */
function saidOf(entry: HostEntry): Pick<HostFact, "region" | "cordoned" | "draining" | "capacity" | "alone"> {
  const { region, cordoned = false, draining = false, capacity, alone } = entry;
  const said = { region, cordoned, draining, ...(capacity === undefined ? {} : { capacity }) };
  return { ...said, ...(alone === undefined ? {} : { alone }) };
}

/** Entries that say who is registered. */
export function isRegistration(key: string): boolean {
  return key.startsWith(HOST_PREFIX) || key.startsWith(PROXY_PREFIX);
}

function slot({ owner, key }: Pick<Entry, "owner" | "key">): string {
  return `${owner} ${key}`;
}

/** What a machine is told of it. */
export function inputOf({ entry, observed }: VmObservation): RolloutInput {
  return { kind: "vm", host: entry.host, vm: entry.vm, observed };
}
