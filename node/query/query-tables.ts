// Query tables: what a query can ask for: the tables and views of the SQL view, their columns, and what they are filled from.
// docs/query.md is the page for people; a test holds the two together.

import {
  APP_PREFIX,
  type CommittedApp,
  decodeRecord,
  HOST_PREFIX,
  hostEntryShape,
  hostKey,
  MEMBER_KEY,
  type MemberView,
  type OwnerId,
  PROXY_PREFIX,
  placedVms,
  proxyEntryShape,
  proxyKey,
  VM_PREFIX,
  vmEntryShape,
  vmKey,
} from "../../mesh/index.ts";

/** What SQLite takes for a parameter, and gives for a value. */
export type SqlValue = null | number | bigint | string | Uint8Array;
export type SqlRow = Readonly<Record<string, SqlValue>>;

/** Tables are filled, views are asked for. An entry of a member counts only from the owner that it names. */
export const SCHEMA = `
CREATE TABLE members (
  name TEXT, role TEXT, state TEXT, since_ms INTEGER, why TEXT, connected INTEGER, self INTEGER, stale INTEGER,
  incarnation INTEGER, owner TEXT PRIMARY KEY
) WITHOUT ROWID;
CREATE TABLE entry_rows (
  owner TEXT, key TEXT, incarnation INTEGER, start_id INTEGER, counter INTEGER, bytes INTEGER, value TEXT,
  PRIMARY KEY (owner, key)
) WITHOUT ROWID;
CREATE TABLE host_rows (
  owner TEXT, host TEXT, region TEXT, voter INTEGER, api TEXT, pid INTEGER, labels TEXT, PRIMARY KEY (owner, host)
) WITHOUT ROWID;
CREATE TABLE proxy_rows (
  owner TEXT, proxy TEXT, region TEXT, http TEXT, admin TEXT, pid INTEGER, labels TEXT, PRIMARY KEY (owner, proxy)
) WITHOUT ROWID;
CREATE TABLE vm_rows (
  owner TEXT, vm TEXT, app TEXT, release INTEGER, host TEXT, state TEXT, health TEXT, address TEXT, reason TEXT,
  restarts INTEGER, exit_code INTEGER, exit_signal TEXT, started_at_ms INTEGER, healthy_at_ms INTEGER,
  PRIMARY KEY (owner, vm)
) WITHOUT ROWID;
CREATE TABLE apps (
  app TEXT PRIMARY KEY, epoch INTEGER, deleted INTEGER, release INTEGER, last_release INTEGER, hostnames TEXT,
  rollout TEXT, rollout_kind TEXT, rollout_state TEXT, rollout_direction TEXT, rollout_step TEXT, driver TEXT,
  started_at_ms INTEGER, ended_at_ms INTEGER
) WITHOUT ROWID;
CREATE TABLE releases (
  app TEXT, release INTEGER, count INTEGER, strategy TEXT, bundle TEXT, bundle_bytes INTEGER, submitted_at_ms INTEGER,
  PRIMARY KEY (app, release)
) WITHOUT ROWID;
CREATE TABLE wanted (app TEXT, vm TEXT PRIMARY KEY, release INTEGER, host TEXT, phase TEXT) WITHOUT ROWID;
CREATE VIEW entries AS
  SELECT m.name, e.owner, e.key, e.incarnation, e.start_id, e.counter, e.bytes, e.value
  FROM entry_rows e LEFT JOIN members m ON m.owner = e.owner;
CREATE VIEW hosts AS
  SELECT h.host, m.state, m.since_ms, m.connected, h.region, h.voter, h.api, h.pid, h.labels
  FROM host_rows h JOIN members m ON m.owner = h.owner AND m.name = h.host;
CREATE VIEW proxies AS
  SELECT p.proxy, m.state, m.since_ms, m.connected, p.region, p.http, p.admin, p.pid, p.labels
  FROM proxy_rows p JOIN members m ON m.owner = p.owner AND m.name = p.proxy;
CREATE VIEW vms AS
  SELECT v.vm, v.app, v.release, v.host, w.phase, v.state, v.health, v.address, v.reason, v.restarts, v.exit_code,
    v.exit_signal, v.started_at_ms, v.healthy_at_ms
  FROM vm_rows v JOIN members m ON m.owner = v.owner AND m.name = v.host LEFT JOIN wanted w ON w.vm = v.vm;
`;

/** Those that people ask for, in the order in which they are listed to them. */
export const PUBLIC_TABLES = [
  "vms",
  "apps",
  "releases",
  "wanted",
  "hosts",
  "proxies",
  "members",
  "entries",
] as const;

/** Which of the tables that are filled depend on what: keys of entries by prefix, or who is a member and how. */
export const TABLE_SOURCES: Readonly<Record<string, { readonly prefix: string } | "members">> = {
  members: "members",
  entry_rows: { prefix: "" },
  host_rows: { prefix: HOST_PREFIX },
  proxy_rows: { prefix: PROXY_PREFIX },
  vm_rows: { prefix: VM_PREFIX },
  apps: { prefix: APP_PREFIX },
  releases: { prefix: APP_PREFIX },
  wanted: { prefix: APP_PREFIX },
};

/** An entry as the process of queries gets it. */
export interface FedEntry {
  readonly owner: OwnerId;
  readonly key: string;
  readonly incarnation: number;
  readonly startId: number;
  readonly counter: number;
  /** null: deleted. */
  readonly value: Uint8Array | null;
}

/** A row of its own kind, for an entry that has one: the table, and the columns but for the owner. */
export interface KindRow {
  readonly table: "host_rows" | "proxy_rows" | "vm_rows";
  readonly row: SqlRow;
}

/** Of which table an entry with this key is a row, and the column that names it; null: none of its own. */
export function kindTable(
  key: string,
): { readonly table: KindRow["table"]; readonly column: string; readonly name: string } | null {
  const kinds = [
    [HOST_PREFIX, "host_rows", "host"],
    [PROXY_PREFIX, "proxy_rows", "proxy"],
    [VM_PREFIX, "vm_rows", "vm"],
  ] as const;
  const found = kinds.find(([prefix]) => key.startsWith(prefix));
  return found === undefined ? null : { table: found[1], column: found[2], name: key.slice(found[0].length) };
}

/** null: of no kind with a table, not to be read, or under a key that names something else. */
export function kindRow({ key, value }: Pick<FedEntry, "key" | "value">): KindRow | null {
  if (value === null) return null;
  if (key.startsWith(VM_PREFIX)) return vmRow(key, value);
  if (key.startsWith(HOST_PREFIX)) return hostRow(key, value);
  return key.startsWith(PROXY_PREFIX) ? proxyRow(key, value) : null;
}

function vmRow(key: string, value: Uint8Array): KindRow | null {
  const decoded = decodeRecord(vmEntryShape, value);
  if (!decoded.ok || vmKey(decoded.value.vm) !== key) return null;
  const { vm, app, release, host, state, health, address, reason, restarts, exit } = decoded.value;
  const row = {
    ...{ vm, app, release, host, state, health, reason, restarts },
    address: address && `${address.host}:${address.port}`,
    exit_code: exit?.code ?? null,
    exit_signal: exit?.signal ?? null,
    started_at_ms: decoded.value.startedAtMs,
    healthy_at_ms: decoded.value.healthyAtMs,
  };
  return { table: "vm_rows", row };
}

function hostRow(key: string, value: Uint8Array): KindRow | null {
  const decoded = decodeRecord(hostEntryShape, value);
  if (!decoded.ok || hostKey(decoded.value.host) !== key) return null;
  const { host, region, voter, api, pid, labels } = decoded.value;
  return {
    table: "host_rows",
    row: { host, region, voter: Number(voter), api, pid, labels: JSON.stringify(labels) },
  };
}

function proxyRow(key: string, value: Uint8Array): KindRow | null {
  const decoded = decodeRecord(proxyEntryShape, value);
  if (!decoded.ok || proxyKey(decoded.value.proxy) !== key) return null;
  const { proxy, region, http, admin, pid, labels } = decoded.value;
  return { table: "proxy_rows", row: { proxy, region, http, admin, pid, labels: JSON.stringify(labels) } };
}

export function memberRow(member: MemberView, isStale: boolean): SqlRow {
  const { name, role, liveness, connected, self, incarnation, owner } = member;
  return {
    name,
    role,
    state: liveness.state,
    since_ms: liveness.sinceMs,
    why: liveness.why,
    connected: Number(connected),
    self: Number(self),
    stale: Number(isStale),
    incarnation,
    owner,
  };
}

/** The rows of one app's record: nothing of its environment or its commands. */
export interface AppRows {
  readonly app: SqlRow;
  readonly releases: readonly SqlRow[];
  readonly wanted: readonly SqlRow[];
}

export function appRows({ epoch, record }: CommittedApp): AppRows {
  const { app, rollout } = record;
  const step = rollout?.step == null ? null : `${rollout.step.kind} ${rollout.step.vms.join(" ")}`;
  return {
    app: {
      app,
      epoch,
      deleted: Number(record.deleted),
      release: record.current,
      last_release: record.lastRelease,
      hostnames: JSON.stringify(record.hostnames),
      rollout: rollout?.id ?? null,
      rollout_kind: rollout?.kind ?? null,
      rollout_state: rollout?.state ?? null,
      rollout_direction: rollout?.direction ?? null,
      rollout_step: step,
      driver: rollout?.driver ?? null,
      started_at_ms: rollout?.startedAtMs ?? null,
      ended_at_ms: rollout?.endedAtMs ?? null,
    },
    releases: record.releases.map(({ number, spec, submittedAtMs }) => ({
      app,
      release: number,
      count: spec.count,
      strategy: spec.deploy.strategy,
      bundle: spec.bundle.hash,
      bundle_bytes: spec.bundle.bytes,
      submitted_at_ms: submittedAtMs,
    })),
    wanted: placedVms(record).map(({ vm, release, host, phase }) => ({ app, vm, release, host, phase })),
  };
}

/** True for entries whose value has a JSON that is told. */
export function hasJson(key: string): boolean {
  return key === MEMBER_KEY || kindTable(key) !== null || key.startsWith(APP_PREFIX);
}
