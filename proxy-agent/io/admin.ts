// Admin: what this proxy sees, for people and for agents. Reads only; listens on loopback.

import type { Server as HttpServer, IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Ack, AppName, Hold, MemberName, Mesh, OwnerId, Version, VmName } from "../../mesh/index.ts";
import { type AppRoute, describeAddress, type RouteTable } from "../core/route-table.ts";
import type { Flights } from "./flights.ts";
import type { HeldRequests } from "./held-requests.ts";
import { createServer } from "./http.ts";

export interface ProxyStatus {
  readonly proxy: MemberName;
  /** The listener is open. */
  readonly serving: boolean;
  /** It serves what it knew before a crash: no voter has admitted it since. */
  readonly stale: boolean;
  readonly serial: number;
  readonly apps: readonly { readonly app: AppName; readonly epoch: number; readonly ack: Ack }[];
}

interface RouteView {
  readonly hostname: string;
  readonly app: AppName;
  readonly epoch: number;
  /** Requests of the app that wait here, and who has them held; null: nobody has. */
  readonly held: { readonly by: Hold["by"]; readonly requests: number } | null;
  readonly endpoints: readonly {
    readonly vm: VmName;
    readonly release: number;
    readonly host: MemberName;
    readonly address: string;
    readonly healthy: boolean;
    /** Its host is dead or left: it is asked last. */
    readonly hostAway: boolean;
    readonly inFlight: number;
  }[];
}

/** The table in force, as `/v1/routes` and the mesh service "routes" answer it. */
export interface RoutesView {
  readonly proxy: MemberName;
  readonly serial: number;
  readonly routes: readonly RouteView[];
  /** VMs that left the table with requests still in flight. */
  readonly draining: readonly {
    readonly vm: VmName;
    readonly app: AppName;
    readonly release: number;
    readonly requests: number;
  }[];
}

interface EntryView {
  readonly owner: OwnerId;
  readonly key: string;
  readonly version: Version;
  readonly bytes: number;
  /** Read from our disk; no peer has shown its owner's state since. */
  readonly stale: boolean;
}

export interface AdminDeps {
  readonly status: () => ProxyStatus;
  readonly routes: () => RoutesView;
  readonly entries: () => readonly EntryView[];
  readonly metrics: () => string;
}

/** What runs and what waits now. */
export interface Load {
  readonly flights: Flights;
  readonly held: Pick<HeldRequests, "waiting">;
}

export function viewRoutes(proxy: MemberName, table: RouteTable, { flights, held }: Load): RoutesView {
  const routes = [...table.byHostname].map(([hostname, route]) => {
    return { ...viewRoute(hostname, route, flights), held: heldView(route, held) };
  });
  const draining = flights.draining().map(({ endpoint, requests }) => {
    const { vm, app, release } = endpoint;
    return { vm, app, release, requests };
  });
  return { proxy, serial: table.serial, routes, draining };
}

function heldView({ app, hold: { by } }: AppRoute, held: Load["held"]): RouteView["held"] {
  return by === null ? null : { by, requests: held.waiting(app) };
}

function viewRoute(
  hostname: string,
  { app, epoch, endpoints }: AppRoute,
  flights: Flights,
): Omit<RouteView, "held"> {
  const shown = endpoints.map((endpoint) => {
    const { vm, release, host, healthy, hostAway } = endpoint;
    const address = describeAddress(endpoint);
    return { vm, release, host, address, healthy, hostAway, inFlight: flights.inFlight(vm) };
  });
  return { hostname, app, epoch, endpoints: shown };
}

export function viewEntries(mesh: Mesh): readonly EntryView[] {
  const { store } = mesh;
  return store.list("").map(({ owner, key, version, value }) => {
    return { owner, key, version, bytes: value?.length ?? 0, stale: store.isStale(owner) };
  });
}

export class Admin {
  readonly #server: HttpServer;

  constructor(deps: AdminDeps) {
    const json = (value: unknown) => ({ type: "application/json", text: `${JSON.stringify(value)}\n` });
    const pages: Readonly<Record<string, () => { type: string; text: string }>> = {
      "/v1/status": () => json(deps.status()),
      "/v1/routes": () => json(deps.routes()),
      "/v1/entries": () => json(deps.entries()),
      "/metrics": () => ({ type: "text/plain; version=0.0.4", text: deps.metrics() }),
    };
    this.#server = createServer((request, response) => answer(request, response, pages));
    // Readers are few and near; a hundred is a mistake of theirs.
    this.#server.maxConnections = 100;
  }

  /** Rejects with the system's error (EADDRINUSE, …). */
  async listen(address: { readonly host: string; readonly port: number }): Promise<AddressInfo> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once("error", reject);
    this.#server.listen(address.port, address.host, resolve);
    await promise;
    return this.#server.address() as AddressInfo;
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    this.#server.closeAllConnections();
    await closed;
  }
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  pages: Readonly<Record<string, () => { type: string; text: string }>>,
): void {
  const path = (request.url ?? "").split("?")[0] ?? "";
  const page = Object.hasOwn(pages, path) ? pages[path] : undefined;
  if (page === undefined || request.method !== "GET") {
    response.writeHead(404, { "content-type": "text/plain" });
    response.end(`not found: GET ${Object.keys(pages).join(", ")}\n`);
    return;
  }
  const { type, text } = page();
  response.writeHead(200, { "content-type": type });
  response.end(text);
}
