// Why view: all that is known of one VM: what the record wants of it, what its host says, which member holds which version of
// both and how that came there, and whether each proxy routes to it. The answer to "why does proxy-2 not route to my VM?".

import {
  APP_PREFIX,
  type AppName,
  type AppRecord,
  appKey,
  type CertifiedApps,
  type CommittedApp,
  commandVmOf,
  compareVersions,
  type DesiredVm,
  decodeCommittedApp,
  decodeRecord,
  type Entry,
  type Hold,
  type InspectedEntry,
  type MemberName,
  type MemberRole,
  type MemberView,
  type Mesh,
  type OwnerId,
  type ProxyStatusAnswer,
  type Result,
  type Rollout,
  type VmEntry,
  type VmName,
  type VmRouting,
  vmEntryShape,
  vmKey,
  type WantedPhase,
} from "../../mesh/index.ts";
import { OwnerNames, secondsSince, type VersionView, viewVersion } from "./names.ts";
import { askProxyStatus } from "./proxy-status.ts";
import { conclude } from "./why-conclusions.ts";
import { askHoldings, type MemberHoldings, type NewestEntry, newestEntries, slotOf } from "./why-holdings.ts";

/** A commit of the app's record, as one member published it. */
interface CommitView {
  readonly epoch: number;
  readonly by: MemberName | null;
  readonly version: VersionView;
  /** It is the one that counts: a majority of the voters signed it, and nothing newer. */
  readonly inForce: boolean;
}

type WantedVm = Omit<DesiredVm, "phase"> & { readonly phase: WantedPhase };

export interface RecordView {
  readonly epoch: number;
  readonly deleted: boolean;
  /** null: it does not name this VM, whose host stops it. */
  readonly wanted: Pick<WantedVm, "host" | "phase" | "release" | "requires"> | null;
  /** Who has the app's requests held; null: they are sent on. */
  readonly heldBy: Hold["by"] | null;
  readonly rollout: (Pick<Rollout, "id" | "state" | "driver"> & { readonly step: string | null }) | null;
}

/** What one member wrote of the VM. */
export interface SaidView {
  readonly by: MemberName | null;
  readonly owner: OwnerId;
  readonly version: VersionView;
  /** It is the host that the record gives the VM to. */
  readonly believed: boolean;
  readonly deleted: boolean;
  /** null: deleted, or not to be read; `problem` says why. */
  readonly entry: Omit<VmEntry, "format" | "lastLines"> | null;
  readonly problem: string | null;
}

export interface HeldView {
  readonly key: string;
  readonly by: MemberName | null;
  readonly owner: OwnerId;
  /** null: it holds nothing of this. */
  readonly version: VersionView | null;
  readonly current: boolean;
  readonly deleted: boolean;
  /** How it came: written there, by gossip or a delta handed on by `from`, or from its disk. null: not remembered. */
  readonly path: NonNullable<InspectedEntry["arrival"]>["path"] | null;
  readonly from: MemberName | OwnerId | null;
  readonly agoMs: number | null;
}

export interface WhyMemberView {
  readonly name: MemberName;
  readonly role: MemberRole;
  readonly state: MemberView["liveness"]["state"];
  readonly forSeconds: number;
  readonly why: string;
  readonly reason: string | null;
  readonly holds: readonly HeldView[];
  /** Of a proxy that answered. */
  readonly proxy: Pick<ProxyStatusAnswer, "serving" | "stale" | "serial"> | null;
  readonly routing: VmRouting | null;
}

export interface WhyView {
  readonly vm: VmName;
  readonly app: AppName | null;
  readonly commits: readonly CommitView[];
  readonly record: RecordView | null;
  readonly said: readonly SaidView[];
  readonly members: readonly WhyMemberView[];
  /** For people: what is wrong, the most important first; empty: every proxy routes to it, and all hold the same. */
  readonly conclusions: readonly string[];
}

/** null: no member that answered has ever heard of it. Rejects only when `signal` aborts. */
export async function viewWhy(
  mesh: Mesh,
  {
    vm,
    apps,
  }: { readonly vm: VmName; readonly apps: Pick<CertifiedApps, "get" | "isCertified" | "takeFrom"> },
  signal: AbortSignal,
): Promise<WhyView | null> {
  const asked = mesh.members().map(async (member) => {
    const status = member.role === "proxy" ? await askProxyStatus(mesh, member, vm, signal) : undefined;
    return [member.owner, status] as const;
  });
  const app = appHere(mesh, vm) ?? (await appElsewhere(mesh, vm, signal));
  const keys = app === null ? [vmKey(vm)] : [vmKey(vm), appKey(app)];
  const [holdings, statuses] = await Promise.all([askHoldings(mesh, keys, signal), Promise.all(asked)]);
  if (app === null && holdings.every(({ entries }) => entries.length === 0)) return null;
  const found = await newestEntries(mesh, holdings, signal);
  const newest = [...found].sort(
    (left, right) => keys.indexOf(left.entry.key) - keys.indexOf(right.entry.key),
  );
  const names = OwnerNames.of(mesh);
  const judged = await Promise.all(newest.map((row) => commitOf(row, { names, apps }, signal)));
  const commits = judged.flatMap((commit) => commit ?? []);
  const committed = app === null ? null : (apps.get(app) ?? null);
  const wanted = committed && wantedVm(committed.record, vm);
  const saying = newest.filter(({ entry }) => entry.key === vmKey(vm));
  const facts = {
    vm,
    app,
    commits: commits.map((commit) => {
      const { epoch, by, version, isCertified } = commit;
      return { epoch, by, version, inForce: isCertified && epoch === committed?.epoch };
    }),
    record: committed && viewRecord(committed, wanted),
    said: saying.map((row) => viewSaid(row, names, wanted)),
    members: holdings.map((row) => viewMember(row, newest, names, new Map(statuses).get(row.member.owner))),
  };
  return { ...facts, conclusions: conclude(facts) };
}

function wantedVm(record: AppRecord, vm: VmName): WantedVm | null {
  const command = commandVmOf(record);
  if (command?.vm === vm) return { ...command, requires: null };
  return record.vms.find((candidate) => candidate.vm === vm) ?? null;
}

/** As we know it: of the VM's own entry, or of a record that names it. */
function appHere(mesh: Mesh, vm: VmName): AppName | null {
  const said = mesh.store.list(vmKey(vm)).filter(({ key }) => key === vmKey(vm));
  return said.map(appOfVm).find((app) => app !== null) ?? appOfRecord(mesh, vm);
}

function appOfVm({ value }: Pick<Entry, "value">): AppName | null {
  const decoded = value === null ? undefined : decodeRecord(vmEntryShape, value);
  return decoded?.ok === true ? decoded.value.app : null;
}

function appOfRecord(mesh: Mesh, vm: VmName): AppName | null {
  for (const { value } of mesh.store.list(APP_PREFIX)) {
    const decoded = value === null ? undefined : decodeCommittedApp(value);
    if (decoded?.ok === true && decoded.value.record.vms.some((desired) => desired.vm === vm))
      return decoded.value.record.app;
  }
  return null;
}

/** We may be the one that is behind. */
async function appElsewhere(mesh: Mesh, vm: VmName, signal: AbortSignal): Promise<AppName | null> {
  const newest = await newestEntries(mesh, await askHoldings(mesh, [vmKey(vm)], signal), signal);
  return newest.map(appOfVm).find((app) => app !== null) ?? null;
}

interface Commit extends Omit<CommitView, "inForce"> {
  readonly isCertified: boolean;
}

async function commitOf(
  { entry, value, holder }: NewestEntry,
  {
    names,
    apps,
  }: { readonly names: OwnerNames; readonly apps: Pick<CertifiedApps, "isCertified" | "takeFrom"> },
  signal: AbortSignal,
): Promise<Commit | null> {
  const decoded = entry.key.startsWith(APP_PREFIX) && value !== null ? decodeCommittedApp(value) : undefined;
  if (decoded?.ok !== true || value === null) return null;
  // What another member holds may be newer than what we do: then it is in force here too from now on.
  await apps.takeFrom(holder, { key: entry.key, value }, signal);
  const isCertified = apps.isCertified(entry.key, value);
  const { epoch } = decoded.value;
  return { epoch, by: names.name(entry.owner), version: viewVersion(entry), isCertified };
}

function viewRecord({ epoch, record }: CommittedApp, wanted: WantedVm | null): RecordView {
  const { deleted, hold, rollout } = record;
  const asked = wanted && {
    host: wanted.host,
    phase: wanted.phase,
    release: wanted.release,
    requires: wanted.requires,
  };
  const step = rollout?.step == null ? null : `${rollout.step.kind} ${rollout.step.vms.join(" ")}`;
  return {
    epoch,
    deleted,
    wanted: asked,
    heldBy: hold?.by ?? null,
    rollout: rollout && { id: rollout.id, state: rollout.state, driver: rollout.driver, step },
  };
}

function viewSaid({ entry, value }: NewestEntry, names: OwnerNames, wanted: WantedVm | null): SaidView {
  const by = names.name(entry.owner);
  const decoded = value === null ? null : decodeRecord(vmEntryShape, value);
  const deleted = entry.bytes === null;
  const lost = deleted ? null : "who holds it did not answer again";
  const facts = { by, owner: entry.owner, version: viewVersion(entry), deleted };
  const believed = wanted !== null && wanted.host === by;
  if (decoded === null) return { ...facts, believed, entry: null, problem: lost };
  if (!decoded.ok) return { ...facts, believed, entry: null, problem: `cannot be read: ${decoded.error}` };
  const { format: _format, lastLines: _lastLines, ...said } = decoded.value;
  return { ...facts, believed, entry: said, problem: null };
}

function viewMember(
  { member, reason, entries }: MemberHoldings,
  newest: readonly NewestEntry[],
  names: OwnerNames,
  status: Result<ProxyStatusAnswer> | undefined,
): WhyMemberView {
  const { name, role, liveness } = member;
  const { state, why, sinceMs } = liveness;
  const held = new Map(entries.map((entry) => [slotOf(entry), entry]));
  const holds = newest.map(({ entry }) => viewHeld(held.get(slotOf(entry)), entry, names));
  const answer = status?.ok === true ? status.value : null;
  return {
    name,
    role,
    state,
    forSeconds: secondsSince(sinceMs),
    why,
    reason: reason ?? (status?.ok === false ? status.error : null),
    holds: reason === null ? holds : [],
    proxy: answer && { serving: answer.serving, stale: answer.stale, serial: answer.serial },
    routing: answer?.vm ?? null,
  };
}

function viewHeld(held: InspectedEntry | undefined, newest: InspectedEntry, names: OwnerNames): HeldView {
  const { owner, key } = newest;
  const arrival = held?.arrival ?? null;
  const from = arrival?.from ?? null;
  return {
    key,
    by: names.name(owner),
    owner,
    version: held === undefined ? null : viewVersion(held),
    current: held !== undefined && compareVersions(held, newest) === 0,
    deleted: held?.bytes === null,
    path: arrival?.path ?? null,
    from: from && (names.name(from) ?? from),
    agoMs: arrival === null ? null : Math.round(arrival.agoMs),
  };
}
