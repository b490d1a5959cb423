// Proxy: puts the parts together and starts them in the order in which they need each other. Given a mesh, so that tests
// run it on one in memory.

import { randomBytes } from "node:crypto";
import type { Logger } from "pino";
import {
  aboutProcess,
  appKey,
  encodeRecord,
  type HostPort,
  type Mesh,
  type ProxyEntry,
  proxyKey,
  type Registers,
  serveDebug,
} from "../mesh/index.ts";
import { AckState } from "./core/ack-state.ts";
import { CanaryCounter } from "./core/canary-counts.ts";
import type { RouteTable } from "./core/route-table.ts";
import { Acker } from "./io/acker.ts";
import { Admin, type ProxyStatus, viewEntries, viewRoutes } from "./io/admin.ts";
import { type AdmissionOptions, admit } from "./io/admission.ts";
import { Arm } from "./io/arm.ts";
import { AwayGates } from "./io/away-gates.ts";
import { CanaryTeller } from "./io/canary-teller.ts";
import { CatchUp } from "./io/catch-up.ts";
import { DemandTeller } from "./io/demand-teller.ts";
import { Flights } from "./io/flights.ts";
import { Forwarder } from "./io/forward.ts";
import { GateDesk } from "./io/gate-desk.ts";
import { HeldRequests } from "./io/held-requests.ts";
import { orListenError } from "./io/listen-error.ts";
import { Metrics, refusedRecords } from "./io/metrics.ts";
import { reservePort } from "./io/reserve-port.ts";
import { RouteFeed } from "./io/route-feed.ts";
import { Server } from "./io/server.ts";
import type { ServingMark } from "./io/serving-mark.ts";
import { spreadToVoters } from "./io/spread.ts";
import { serveStatus } from "./io/status-service.ts";
import { Upstreams } from "./io/upstreams.ts";
import { Verifier } from "./io/verifier.ts";
import { ACK_SETTLED_MS, DEREGISTER_TIMEOUT_MS, GATE_AWAY_MAX_MS, RETRY_TIME_MAX_MS } from "./limits.ts";

export interface ProxyOptions {
  /** Where clients reach it; port 0: any free one. */
  readonly http: HostPort;
  readonly admin: HostPort;
  readonly region: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Answers name release and VM in `grapevine-release` and `grapevine-vm`, and say `grapevine-stale` while that is so. */
  readonly responseHeaders: boolean;
  /** `arms.sock` in the state folder of the gate of this host, whose VMs it then dials itself. Null: no VM is of this host. */
  readonly gate: { readonly cluster: string; readonly socket: string } | null;
  /** How patient it is with VMs, and how often it repeats what it acknowledged. */
  readonly timing: {
    readonly retryTimeMs: number;
    readonly gateAwayMs: number;
    readonly ackSettledMs: number;
  };
}

/** As everywhere but in tests. */
export const PROXY_TIMING: ProxyOptions["timing"] = {
  retryTimeMs: RETRY_TIME_MAX_MS,
  gateAwayMs: GATE_AWAY_MAX_MS,
  ackSettledMs: ACK_SETTLED_MS,
};

export interface ProxyDeps {
  readonly mesh: Mesh;
  /** Of this mesh, not started yet: which voters there are, and which records count. */
  readonly registers: Registers;
  /** Of the mesh, by name: part of the metrics. */
  readonly meshCounters: () => Readonly<Record<string, number>>;
  readonly mark: ServingMark;
  /** Its configuration, without secrets, and the last lines of its log: for a bug report. */
  readonly config: object;
  readonly recentLog: () => string;
  readonly logger: Logger;
  /** Told of each table in the breath in which it came into force: who measures how soon that is. */
  readonly onTable?: (table: RouteTable) => void;
}

export interface RunningProxy {
  /** "http://127.0.0.1:8080". */
  readonly http: string;
  readonly admin: string;
  /** Deregisters, finishes what runs (bounded), closes everything but the mesh. */
  stop(): Promise<void>;
}

/** The service by which any member asks for the table in force: request empty, answer one JSON text, `RoutesView`. */
const ROUTES_SERVICE = "routes";

/**
 * Resolves once it serves: it holds the current state by then, or, if it had crashed, the one that its disk has: that is
 * stale until the voters admit it, which goes on behind. Rejects with `ListenError`, or with the signal's reason when
 * aborted before; then nothing of it is left running.
 */
export async function startProxy(
  options: ProxyOptions,
  deps: ProxyDeps,
  signal: AbortSignal,
): Promise<RunningProxy> {
  const parts = new Parts(options, deps);
  try {
    return await parts.start(signal);
  } catch (error) {
    await parts.stop();
    throw error;
  }
}

class Parts {
  readonly #options: ProxyOptions;
  readonly #deps: ProxyDeps;
  readonly #acks = new AckState();
  readonly #metrics = new Metrics();
  readonly #upstreams = new Upstreams();
  readonly #away = new AwayGates();
  readonly #held: HeldRequests;
  readonly #arm: Arm | null;
  readonly #feed: RouteFeed;
  readonly #flights: Flights;
  readonly #verifier: Verifier;
  readonly #acker: Acker;
  readonly #counter = new CanaryCounter();
  readonly #canaries: CanaryTeller;
  readonly #demand: DemandTeller;
  readonly #server: Server;
  readonly #admin: Admin;
  readonly #stopping = new AbortController();
  /** Of a proxy that serves its last state: ends when it is admitted or stopped. */
  #admission: Promise<void> = Promise.resolve();
  #isServing = false;
  #isStale = false;
  #isRegistered = false;

  constructor(options: ProxyOptions, deps: ProxyDeps) {
    this.#options = options;
    this.#deps = deps;
    const { mesh, registers, logger } = deps;
    const { apps, directory } = registers;
    const acks = this.#acks;
    this.#feed = new RouteFeed({ mesh, apps, logger, acks });
    this.#flights = new Flights({
      onDrained: () => this.#acker.changed(),
      onCut: ({ vm, app, drainTimeoutMs }, requests) => {
        this.#metrics.wereCut(requests);
        logger.warn({ app, vm, requests, drainTimeoutMs }, "requests cut at the drain deadline");
      },
    });
    const gates = new GateDesk({
      registers,
      feed: this.#feed,
      onLearned: () => this.#metrics.learnedOfGate(),
    });
    const catchUp = new CatchUp({ mesh, registers, feed: this.#feed, gates }, options.timing.retryTimeMs);
    this.#held = new HeldRequests({ catchUp });
    this.#verifier = new Verifier({ gates, onChange: () => this.#acker.changed() });
    const [flights, verifier, feed] = [this.#flights, this.#verifier, this.#feed];
    const { timing } = options;
    this.#acker = new Acker(
      { settledMs: timing.ackSettledMs },
      { mesh, directory, feed, acks, flights, verifier },
    );
    const startId = randomBytes(8).toString("hex");
    this.#canaries = new CanaryTeller({ mesh, directory, counter: this.#counter, startId });
    this.#demand = new DemandTeller({ mesh, directory });
    this.#arm = this.#armOf(options.gate);
    const forwarder = new Forwarder(
      {
        namesItself: options.responseHeaders,
        retryTimeMs: timing.retryTimeMs,
        gateAwayMs: timing.gateAwayMs,
      },
      {
        feed,
        flights,
        upstreams: this.#upstreams,
        gates,
        away: this.#away,
        held: this.#held,
        demand: this.#demand,
        arm: this.#arm,
        random: Math.random,
        catchUp,
        isStale: () => this.#isStale,
        onRetry: () => this.#metrics.retried(),
        onRefused: (why) => this.#metrics.refusedByGate(why),
        onTried: (tried) => this.#counter.count(tried),
        onFailure: ({ app, vm }, reason) => logger.debug({ app, vm, reason }, "no answer"),
      },
    );
    this.#server = new Server({ forwarder, flights, metrics: this.#metrics, logger });
    this.#admin = new Admin({
      status: () => this.#status(),
      routes: () => this.#routes(),
      entries: () => viewEntries(mesh),
      metrics: () => this.#metricsText(),
    });
  }

  async start(signal: AbortSignal): Promise<RunningProxy> {
    const { mesh, mark } = this.#deps;
    const http = await reservePort(this.#options.http);
    const admin = urlOf(await orListenError(this.#admin.listen(this.#options.admin), this.#options.admin));
    this.#subscribe();
    this.#arm?.start();
    mesh.handle(ROUTES_SERVICE, () => this.#answerRoutes());
    serveDebug(mesh, {
      about: () => JSON.stringify({ ...aboutProcess(), config: this.#deps.config, status: this.#status() }),
      metrics: () => this.#metricsText(),
      log: this.#deps.recentLog,
    });
    serveStatus(mesh, {
      status: () => ({ serving: this.#isServing, stale: this.#isStale, serial: this.#feed.table.serial }),
      explain: (vm) => this.#feed.explain(vm),
    });
    const isWarm = mark.wasSet && this.#feed.table.apps.size > 0;
    const url = await (isWarm ? this.#startWarm(http, admin) : this.#startCold({ http, admin, signal }));
    this.#isServing = true;
    const { table } = this.#feed;
    const facts = { http: url, admin, serial: table.serial, apps: table.apps.size, stale: isWarm };
    this.#deps.logger.info(facts, "proxy serves");
    return { http: url, admin, stop: () => this.stop() };
  }

  /** Closed until it holds the current state. */
  async #startCold(start: { http: HostPort; admin: string; signal: AbortSignal }): Promise<string> {
    const { mesh, mark } = this.#deps;
    // Registered first, then admitted: no commit can pass between the two (see admission).
    const registration = this.#register(urlOf(start.http), start.admin);
    mesh.announce();
    this.#acker.start();
    await this.#admit(registration, start.signal);
    await mark.set();
    const url = urlOf(await this.#listen(start.http));
    this.#register(url, start.admin);
    return url;
  }

  /** With the state that the disk has, before anybody is met. It acknowledges nothing until it was admitted. */
  async #startWarm(http: HostPort, admin: string): Promise<string> {
    this.#isStale = true;
    const url = urlOf(await this.#listen(http));
    const registration = this.#register(url, admin);
    this.#deps.mesh.announce();
    this.#admission = this.#confirm(registration);
    return url;
  }

  async #confirm(registration: AdmissionOptions["registration"]): Promise<void> {
    const { signal } = this.#stopping;
    try {
      await this.#admit(registration, signal);
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    this.#isStale = false;
    this.#acker.start();
    this.#deps.logger.info({ serial: this.#feed.table.serial }, "routes are current");
  }

  async #admit(registration: AdmissionOptions["registration"], signal: AbortSignal): Promise<void> {
    const { mesh, registers, logger } = this.#deps;
    await admit({ registration }, { mesh, registers, feed: this.#feed, logger }, signal);
  }

  async stop(): Promise<void> {
    this.#isServing = false;
    this.#stopping.abort();
    await this.#admission;
    // Still registered while requests run: a rollout must go on waiting for them.
    await this.#server.stop();
    if (this.#isRegistered) await this.#deregister();
    this.#acker.stop();
    this.#canaries.stop();
    this.#demand.stop();
    this.#feed.stop();
    this.#verifier.stop();
    this.#flights.stop();
    this.#held.stop();
    await this.#arm?.stop();
    await this.#upstreams.stop();
    await this.#admin.stop();
  }

  #armOf(gate: ProxyOptions["gate"]): Arm | null {
    if (gate === null) return null;
    const { mesh, registers, logger } = this.#deps;
    return new Arm(
      { cluster: gate.cluster, proxy: mesh.self.name, gateSocket: gate.socket },
      {
        onRecord: (app, record) => {
          registers.apps.take(appKey(app), record);
          this.#feed.flush();
        },
        onWithdrawn: (vms) => this.#upstreams.leave(vms),
        logger,
      },
    );
  }

  /** All in one breath with the swap: from then on nothing is dispatched to who left, then it is acknowledged. */
  #subscribe(): void {
    this.#feed.onTable((table) => {
      this.#flights.adopt(table);
      this.#held.adopt(table);
      this.#demand.adopt(table);
      this.#upstreams.adopt(table);
      this.#verifier.adopt(table);
      this.#acker.changed();
      this.#canaries.adopt(table);
      this.#deps.onTable?.(table);
      this.#deps.logger.debug({ serial: table.serial }, "route table changed");
    });
    // First: the feed takes the records from it, of a state from the disk those that are there already.
    this.#deps.registers.start();
    this.#feed.start();
    // What a writer waits for is the table in force, not the store: it may be one turn behind.
    this.#deps.mesh.beforeApplied(() => this.#feed.flush());
  }

  /** Of port 0 the free one that was found may be taken meanwhile: any other does. */
  async #listen(http: HostPort): Promise<HostPort> {
    const attempt = orListenError(this.#server.listen(http), http);
    if (this.#options.http.port !== 0) return attempt;
    return attempt.catch(() => orListenError(this.#server.listen(this.#options.http), this.#options.http));
  }

  async #deregister(): Promise<void> {
    const { mesh, mark, logger } = this.#deps;
    // First: from the moment that nobody counts on us, our state may not be served again.
    await mark.clear();
    mesh.write(proxyKey(mesh.self.name), null);
    const untold = await spreadToVoters(this.#deps, AbortSignal.timeout(DEREGISTER_TIMEOUT_MS));
    if (untold !== null)
      logger.warn(
        { reason: untold },
        "no voter knows that this proxy left: it stays in ack sets until it is back",
      );
  }

  #register(http: string, admin: string): AdmissionOptions["registration"] {
    this.#isRegistered = true;
    const { mesh } = this.#deps;
    const { region, labels } = this.#options;
    const { name } = mesh.self;
    const entry: ProxyEntry = { format: 1, proxy: name, region, labels, http, admin, pid: process.pid };
    const key = proxyKey(name);
    return { key, version: mesh.write(key, encodeRecord(entry)) };
  }

  async *#answerRoutes(): AsyncGenerator<Uint8Array> {
    yield new TextEncoder().encode(JSON.stringify(this.#routes()));
  }

  #routes(): ReturnType<typeof viewRoutes> {
    return viewRoutes(this.#deps.mesh.self.name, this.#feed.table, {
      flights: this.#flights,
      held: this.#held,
    });
  }

  #status(): ProxyStatus {
    const { table } = this.#feed;
    const apps = this.#acker.answers().map((ack) => {
      return { app: ack.app, epoch: table.apps.get(ack.app)?.epoch ?? 0, ack };
    });
    const { name: proxy } = this.#deps.mesh.self;
    return { proxy, serving: this.#isServing, stale: this.#isStale, serial: table.serial, apps };
  }

  #metricsText(): string {
    const registers = this.#deps.registers.metrics();
    return this.#metrics.text({
      serial: this.#feed.table.serial,
      inFlight: this.#flights.total,
      armedVms: this.#arm?.vms ?? 0,
      direct: this.#arm?.claimed ?? 0,
      draining: this.#flights.draining().reduce((sum, { requests }) => sum + requests, 0),
      held: this.#held.counts,
      acksSent: this.#acker.sent,
      refusedRecords: this.#feed.refused + refusedRecords(registers),
      connections: this.#server.connections,
      isServing: this.#isServing,
      isStale: this.#isStale,
      registers,
      mesh: this.#deps.meshCounters(),
    });
  }
}

function urlOf({ host, port }: HostPort): string {
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}
