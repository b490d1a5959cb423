// Drain: the requests in flight on each VM, and what becomes of them when it leaves the table. A request is counted in the
// same breath that picks its endpoint, so that no drain can miss it.

import { type Ack, APP_VMS_MAX, type AppName, type VmName } from "../../mesh/index.ts";
import { LEFT_VMS_PER_APP_MAX } from "../limits.ts";
import { type Endpoint, type RouteTable, reachedEndpoints } from "./route-table.ts";

/**
 * - `routed`: the table in force sends requests to it.
 * - `draining`: it left the table; what runs may finish until the deadline, then it is cut.
 * - `left`: it left the table and nothing of it runs here. Kept for a while for what is told of it.
 */
type Standing =
  | { readonly kind: "routed" }
  | { readonly kind: "draining"; readonly deadlineMs: number }
  | { readonly kind: "left" };

interface Load {
  readonly endpoint: Endpoint;
  standing: Standing;
  inFlight: number;
  /** When a request was last sent to it; null: never. */
  lastDispatchMs: number | null;
  cut: number;
}

export interface Draining {
  readonly endpoint: Endpoint;
  readonly requests: number;
  readonly deadlineMs: number;
}

export type DrainReport = Pick<Ack, "inFlight" | "cut" | "lastDispatch">;

/** All times are of one clock that only moves forward. */
export class Drain {
  /** In the order in which they were first routed to, within their app. */
  readonly #apps = new Map<AppName, Map<VmName, Load>>();
  readonly #inFlight = new Map<VmName, number>();
  #table: RouteTable | null = null;

  /** Takes `table` as the one in force: who left it drains from now, who is back does not. */
  adopt(table: RouteTable, nowMs: number): void {
    const before = this.#table;
    this.#table = table;
    for (const route of table.apps.values()) {
      if (before?.apps.get(route.app) !== route) this.#adoptApp(route.app, reachedEndpoints(route), nowMs);
    }
  }

  #adoptApp(app: AppName, endpoints: readonly Endpoint[], nowMs: number): void {
    const loads = this.#apps.get(app) ?? new Map<VmName, Load>();
    this.#apps.set(app, loads);
    const routed = new Set(endpoints.map(({ vm }) => vm));
    for (const [vm, load] of loads) if (!routed.has(vm)) leave(load, nowMs);
    for (const endpoint of endpoints) {
      const held = loads.get(endpoint.vm);
      const blank = { inFlight: 0, lastDispatchMs: null, cut: 0 };
      loads.set(endpoint.vm, { ...(held ?? blank), endpoint, standing: { kind: "routed" } });
    }
    forgetOldest(loads);
  }

  /** Counts a request on the endpoint that was just picked. `release` must follow, once. */
  claim({ app, vm }: Endpoint): void {
    const load = this.#load(app, vm);
    load.inFlight += 1;
    this.#inFlight.set(vm, load.inFlight);
  }

  /** Its bytes go out now. */
  dispatched({ app, vm }: Endpoint, nowMs: number): void {
    this.#load(app, vm).lastDispatchMs = nowMs;
  }

  /** Its request is over. True: it was the last one of a VM that drained. */
  release({ app, vm }: Endpoint): boolean {
    const load = this.#load(app, vm);
    load.inFlight -= 1;
    if (load.inFlight > 0) this.#inFlight.set(vm, load.inFlight);
    else this.#inFlight.delete(vm);
    if (load.inFlight > 0 || load.standing.kind !== "draining") return false;
    load.standing = { kind: "left" };
    return true;
  }

  /** A request of it was ended at the deadline. `release` follows. */
  recordCut({ app, vm }: Endpoint): void {
    this.#load(app, vm).cut += 1;
  }

  inFlight(vm: VmName): number {
    return this.#inFlight.get(vm) ?? 0;
  }

  /** True while the table in force sends requests there: to that VM, at that address. */
  isRouted({ app, vm, address }: Endpoint): boolean {
    const load = this.#apps.get(app)?.get(vm);
    if (load?.standing.kind !== "routed") return false;
    const routed = load.endpoint.address;
    return routed.host === address.host && routed.port === address.port;
  }

  draining(): readonly Draining[] {
    return [...this.#apps.values()].flatMap((loads) => [...loads.values()].flatMap(drainingOf));
  }

  /**
   * Lists within what an ack may name (`APP_VMS_MAX`). `inFlight` is never cut short, since who is not in it counts as drained:
   * a VM leaves its record only once it is drained, and a record has no more.
   */
  report(app: AppName): DrainReport {
    const all = [...(this.#apps.get(app)?.values() ?? [])];
    const gone = all.filter(({ standing }) => standing.kind !== "routed");
    const cut = all.filter((load) => load.cut > 0);
    const lastDispatch = gone.flatMap(({ endpoint: { vm }, lastDispatchMs: atMs }) =>
      atMs === null ? [] : [{ vm, atMs }],
    );
    return {
      inFlight: gone.filter(isBusy).map((load) => ({ vm: load.endpoint.vm, requests: load.inFlight })),
      cut: cut.slice(-APP_VMS_MAX).map((load) => ({ vm: load.endpoint.vm, requests: load.cut })),
      lastDispatch: lastDispatch.slice(-APP_VMS_MAX),
    };
  }

  /** Every claim is on an endpoint of a table that was adopted, and a load with claims is never forgotten. */
  #load(app: AppName, vm: VmName): Load {
    const load = this.#apps.get(app)?.get(vm);
    if (load === undefined) throw new Error(`drain: ${vm} was in no table`);
    return load;
  }
}

function leave(load: Load, nowMs: number): void {
  if (load.standing.kind !== "routed") return;
  const deadlineMs = nowMs + load.endpoint.drainTimeoutMs;
  load.standing = isBusy(load) ? { kind: "draining", deadlineMs } : { kind: "left" };
}

function isBusy(load: Load): boolean {
  return load.inFlight > 0;
}

function drainingOf({ endpoint, standing, inFlight }: Load): readonly Draining[] {
  return standing.kind === "draining"
    ? [{ endpoint, requests: inFlight, deadlineMs: standing.deadlineMs }]
    : [];
}

function forgetOldest(loads: Map<VmName, Load>): void {
  const left = [...loads].filter(([, { standing }]) => standing.kind === "left");
  const surplus = left.slice(0, Math.max(0, left.length - LEFT_VMS_PER_APP_MAX));
  for (const [vm] of surplus) loads.delete(vm);
}
