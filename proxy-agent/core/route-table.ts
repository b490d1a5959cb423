// Route table: what requests are matched against. Immutable; the next one replaces it whole, one serial higher.

import {
  type AppName,
  type AppRecord,
  HOLD_DEFAULTS,
  type Hold,
  type HoldSpec,
  holdBoundsOf,
  type MemberName,
  type VmName,
  type Weights,
} from "../../mesh/index.ts";
import type { ClientsRoute } from "./sticky.ts";

/** A VM that the record in force routes to, where its host last said it is. */
export interface Endpoint {
  readonly vm: VmName;
  readonly app: AppName;
  readonly release: number;
  readonly host: MemberName;
  /** Of the VM; of one behind a gate, the gate's. */
  readonly address: { readonly host: string; readonly port: number };
  /** It is dialled through the gate of its host, which is told the VM's name. */
  readonly isGated: boolean;
  /** False: its host sees it failing, or not running. Asked only when no healthy one is left. */
  readonly healthy: boolean;
  /** Its host is dead, or left a while ago, as we judge it: asked when the others were, since a dead agent is no dead VM. */
  readonly hostAway: boolean;
  /** Of its release: what still runs so long after it left the table is cut. */
  readonly drainTimeoutMs: number;
}

/** Whether the app's requests are kept, and how many of them. */
export interface HoldRoute {
  /** Null: nobody holds them. */
  readonly by: Hold["by"] | null;
  readonly bounds: HoldSpec;
}

export const NOT_HELD: HoldRoute = { by: null, bounds: HOLD_DEFAULTS };

/** `isOpened`: a VM runs well for which the record has them held. A person's hold is lifted by that person alone. */
export function holdRouteOf(record: Pick<AppRecord, "hold" | "releases">, isOpened: boolean): HoldRoute {
  const by = record.hold?.by ?? null;
  return { by: isOpened && by !== "person" ? null : by, bounds: holdBoundsOf(record) };
}

export function isHeld({ hold }: Pick<AppRoute, "hold">): boolean {
  return hold.by !== null;
}

export interface AppRoute {
  readonly app: AppName;
  readonly epoch: number;
  /** Lower case. Empty once the app was destroyed. */
  readonly hostnames: readonly string[];
  /** By VM name. */
  readonly endpoints: readonly Endpoint[];
  /** How requests are split over the releases of `endpoints`; null: each endpoint counts alike. */
  readonly weights: Weights | null;
  /** The step of a canary that bakes now: requests are counted by release; null: none does. */
  readonly bake: { readonly rollout: string; readonly step: number } | null;
  /** What each client is promised while releases change over; null: nothing. */
  readonly clients: ClientsRoute | null;
  /** Of the preview names never. */
  readonly hold: HoldRoute;
  /** It may be put to sleep once nobody asked for it for so long; absent: it never is. */
  readonly idleAfterMs?: number;
  /** VMs on standby: dialled as those, and no request reaches them by `hostnames`. */
  readonly standby: readonly Endpoint[];
  /**
   * What the preview names lead to: the VMs on standby, and those of the new release that serve by weight already, as the endpoints of a
   * route of their own; null: there are no such names.
   */
  readonly preview: AppRoute | null;
  /** VMs that the record routes to and whose address nobody told us yet, by name. */
  readonly unaddressed: readonly VmName[];
  /** What keeps this record from being acknowledged: entries that it requires and that are not here yet. Said for people. */
  readonly missing: readonly string[];
  /** VMs that this proxy must be able to dial before it says "verified". What a rollout replaces may be broken: not among them. */
  readonly awaited: readonly VmName[];
  /** Those of them whose host says that they do not run (any more), for people: "hello-v3-1 exited on host-1". */
  readonly lost: readonly string[];
}

export interface RouteTable {
  /** +1 with each table that differs from the one before; 0: nothing was learnt yet. */
  readonly serial: number;
  /** Every app ever seen, the destroyed included: they are acknowledged too. */
  readonly apps: ReadonlyMap<AppName, AppRoute>;
  readonly byHostname: ReadonlyMap<string, AppRoute>;
}

export const EMPTY_TABLE: RouteTable = { serial: 0, apps: new Map(), byHostname: new Map() };

/** The table with `changed` in place of what it had of those apps; `before` itself when nothing differs. */
export function nextTable(before: RouteTable, changed: readonly AppRoute[]): RouteTable {
  const different = changed.filter((route) => !isSameRoute(before.apps.get(route.app), route));
  if (different.length === 0) return before;
  const apps = new Map(before.apps);
  for (const route of different) apps.set(route.app, route);
  return { serial: before.serial + 1, apps, byHostname: indexHostnames(apps) };
}

/** Every VM that this proxy sends something to, by whatever name, or for whatever page. */
export function reachedEndpoints(route: AppRoute): readonly Endpoint[] {
  const { endpoints, standby } = route;
  const kept = keptEndpoints(route);
  return standby.length + kept.length === 0 ? endpoints : [...endpoints, ...standby, ...kept];
}

/** Old VMs that only pages of theirs reach. */
function keptEndpoints({ clients }: AppRoute): readonly Endpoint[] {
  return clients?.mode === "pinned" ? clients.kept : [];
}

/** `route` is in force: of its app, or of its app's preview names. */
export function isInForce(table: RouteTable, route: AppRoute): boolean {
  const held = table.apps.get(route.app);
  return held === route || held?.preview === route;
}

/** Two apps that name one hostname: the first by name has it, whatever came first, so that all proxies agree. */
function indexHostnames(apps: ReadonlyMap<AppName, AppRoute>): ReadonlyMap<string, AppRoute> {
  const index = new Map<string, AppRoute>();
  const routes = [...apps.values()].flatMap((route) =>
    route.preview === null ? [route] : [route, route.preview],
  );
  for (const route of routes) {
    for (const hostname of route.hostnames) {
      const other = index.get(hostname);
      if (other === undefined || route.app < other.app) index.set(hostname, route);
    }
  }
  return index;
}

const LISTS = ["endpoints", "standby", "hostnames", "unaddressed", "missing", "awaited", "lost"] as const;

/** Endpoints that did not change are the same objects: of a route of many VMs one or two are looked into. */
function isSameRoute(left: AppRoute | undefined, right: AppRoute): boolean {
  if (left?.epoch !== right.epoch || !LISTS.every((name) => isSameList(left[name], right[name])))
    return false;
  if (!isSameList(keptEndpoints(left), keptEndpoints(right))) return false;
  return isSameList(left.preview?.hostnames ?? [], right.preview?.hostnames ?? []);
}

function isSameList(left: readonly unknown[], right: readonly unknown[]): boolean {
  return left.length === right.length && left.every((one, at) => isSame(one, right[at]));
}

function isSame(left: unknown, right: unknown): boolean {
  return left === right || (typeof left === "object" && JSON.stringify(left) === JSON.stringify(right));
}

export function endpointKey(endpoint: Endpoint): string {
  return `${endpoint.vm} ${describeAddress(endpoint)}`;
}

export function describeAddress({ address }: Pick<Endpoint, "address">): string {
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `${host}:${address.port}`;
}
