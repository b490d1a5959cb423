// Views: what every member said of itself, folded into the rows that the API lists. An entry counts only from its owner.

import {
  type CommittedApp,
  compareText,
  decodeRecord,
  type Entry,
  HOST_PREFIX,
  type HostEntry,
  hostEntryShape,
  type MemberName,
  type MemberRole,
  type MemberView,
  type Mesh,
  type OwnerId,
  PROXY_PREFIX,
  placedVms,
  proxyEntryShape,
  VM_PREFIX,
  type VmEntry,
  type VmName,
  vmEntryShape,
  type WantedPhase,
} from "../../mesh/index.ts";
import type { VmView } from "../deploy/app-view.ts";

export interface MemberRow {
  readonly name: MemberName;
  readonly role: MemberRole;
  /** Of a host its HTTP API, of a proxy its admin API: as reached on that machine. null: not known yet. */
  readonly api: string | null;
  /** Of a proxy: where clients reach it. */
  readonly http: string | null;
  readonly pid: number | null;
  /** As the answering agent judges it. */
  readonly state: MemberView["liveness"]["state"];
  /** How long it has been so, whole seconds. */
  readonly forSeconds: number;
  /** For people: how that is known; "" while it is alive. */
  readonly why: string;
  /** The answering agent has a connection to it. */
  readonly connected: boolean;
  readonly region: string | null;
  readonly voter: boolean;
  /** Nothing new is placed there. */
  readonly cordoned: boolean;
  readonly incarnation: number;
  /** Multiaddrs at which others dial it, as it advertises them. */
  readonly addresses: readonly string[];
}

/** Hosts first, then proxies, each by name. */
export function memberRows(mesh: Mesh, self: HostEntry): readonly MemberRow[] {
  const rows = mesh.members().map((member) => memberRow(mesh, member, self));
  return rows.sort((left, right) => compareText(left.role, right.role) || compareText(left.name, right.name));
}

function memberRow(mesh: Mesh, member: MemberView, self: HostEntry): MemberRow {
  const { name, role, incarnation, connected, liveness, addresses } = member;
  const { state, why, sinceMs } = liveness;
  const forSeconds = Math.max(0, Math.round((Date.now() - sinceMs) / 1_000));
  // Ours says more than what we were started with: the port that the system chose.
  const said = factsOf(mesh, member) ?? (member.self ? hostFacts(self) : NO_WORD);
  return { name, role, ...said, state, forSeconds, why, connected, incarnation, addresses };
}

type Facts = Pick<MemberRow, "api" | "http" | "pid" | "region" | "voter" | "cordoned">;

function hostFacts({ api, pid, region, voter, cordoned = false }: HostEntry): Facts {
  return { api, http: null, pid, region, voter, cordoned };
}

const NO_WORD: Facts = {
  api: null,
  http: null,
  pid: null,
  region: null,
  voter: false,
  cordoned: false,
};

/** What it says of itself; null: nothing yet that can be read. */
export function factsOf(mesh: Mesh, member: MemberView): Facts | null {
  const prefix = member.role === "host" ? HOST_PREFIX : PROXY_PREFIX;
  const value = mesh.store.get(member.owner, `${prefix}${member.name}`)?.value;
  if (value == null) return null;
  if (member.role === "host") {
    const host = decodeRecord(hostEntryShape, value);
    return host.ok ? hostFacts(host.value) : null;
  }
  const proxy = decodeRecord(proxyEntryShape, value);
  if (!proxy.ok) return null;
  const { admin, http, pid, region } = proxy.value;
  return { api: admin, http, pid, region, voter: false, cordoned: false };
}

/** Every VM that its host speaks of, by name; `phase` is what the app's record wants of it. */
export function vmRows(mesh: Mesh, apps: readonly CommittedApp[]): readonly VmView[] {
  const names = namesByOwner(mesh);
  const phases = wantedPhases(apps);
  const rows = mesh.store.list(VM_PREFIX).flatMap((entry) => {
    const said = believedVm(entry, names);
    return said === undefined ? [] : [vmRow(said, phases.get(said.vm) ?? null)];
  });
  return rows.sort((left, right) => compareText(left.vm, right.vm));
}

/** The member that runs this VM, as its own entry says. */
export function hostOfVm(mesh: Mesh, vm: VmName): MemberView | undefined {
  const names = namesByOwner(mesh);
  const entry = mesh.store
    .list(`${VM_PREFIX}${vm}`)
    .find((candidate) => believedVm(candidate, names)?.vm === vm);
  return entry && mesh.members().find((member) => member.owner === entry.owner);
}

function vmRow(said: VmEntry, phase: VmView["phase"]): VmView {
  const { vm, app, release, host, state, health, reason, restarts } = said;
  const address = said.address && `${said.address.host}:${said.address.port}`;
  return { vm, app, release, host, phase, state, health, address, reason, restarts };
}

function believedVm(entry: Entry, names: ReadonlyMap<OwnerId, MemberName>): VmEntry | undefined {
  const said = entry.value === null ? undefined : decodeRecord(vmEntryShape, entry.value);
  if (said?.ok !== true || `${VM_PREFIX}${said.value.vm}` !== entry.key) return undefined;
  return names.get(entry.owner) === said.value.host ? said.value : undefined;
}

function wantedPhases(apps: readonly CommittedApp[]): ReadonlyMap<VmName, WantedPhase> {
  const vms = apps.flatMap(({ record }) => placedVms(record));
  return new Map(vms.map(({ vm, phase }) => [vm, phase]));
}

function namesByOwner(mesh: Mesh): ReadonlyMap<OwnerId, MemberName> {
  return new Map(mesh.members().map((member) => [member.owner, member.name]));
}
