// A cluster for tests: a voter that is also the host of all VMs, and more voters where they are wanted, on a mesh in memory, and
// VMs that are real HTTP servers.

import { createServer, type Server as HttpServer, type RequestListener } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { type Logger, pino } from "pino";
import {
  ACK_TOPIC,
  type Ack,
  type AckMessage,
  type AppRecord,
  ackMessageShape,
  appKey,
  appName,
  bundleHash,
  compareVersions,
  type DesiredVm,
  decodeRecord,
  encodeRecord,
  encodeRegisterReadAnswer,
  type MemberName,
  type Mesh,
  memberName,
  type OwnerId,
  REGISTER_READ_SERVICE,
  Registers,
  type Release,
  type Version,
  type VmEntry,
  type VmPhase,
  vmKey,
  vmName,
  type Weights,
} from "../../mesh/index.ts";
import { registerReadRequestShape } from "../../mesh/io/register/register-read.ts";
import { MemoryHub } from "../../mesh/sim/memory-mesh.ts";
import { STAND_IN_CLUSTER, StandInVoter } from "../../mesh/sim/stand-in-voter.ts";
import type { ServingMark } from "../io/serving-mark.ts";
import { PROXY_TIMING, type ProxyOptions, type RunningProxy, startProxy } from "../proxy.ts";
import { bakingRollout } from "./baking-rollout.ts";
import { type ClientsOptions, withClients } from "./clients-record.ts";

export const silent: Logger = pino({ level: "silent" });
export const HOST_1: MemberName = memberName("host-1");

export interface RecordOptions extends ClientsOptions {
  readonly app?: string;
  readonly hostnames?: readonly string[];
  readonly vms: readonly DesiredVm[];
  readonly drainTimeoutMs?: number;
  readonly deleted?: boolean;
  readonly gate?: "off";
  readonly weights?: Weights;
  /** Number of the step in which a canary of v2 bakes. */
  readonly bakes?: number;
}

export function desiredVm(
  vm: string,
  phase: VmPhase = "serving",
  requires: Version | null = null,
): DesiredVm {
  return { vm: vmName(vm), release: releaseOf(vm), host: HOST_1, phase, requires };
}

/** "hello-v3-1" is of release 3. */
function releaseOf(vm: string): number {
  return Number(/-v(\d+)-/.exec(vm)?.[1] ?? 1);
}

export function appRecord({ app = "hello", ...options }: RecordOptions): AppRecord {
  const numbers = [...new Set(options.vms.map(({ release }) => release))].sort();
  const record: AppRecord = {
    format: 1,
    app: appName(app),
    deleted: options.deleted ?? false,
    hostnames: options.hostnames ?? [`${app}.localhost`],
    releases: numbers.slice(-4).map((number) => release(app, number, options)),
    current: numbers[0] ?? null,
    lastRelease: numbers.at(-1) ?? 0,
    vms: options.vms,
    ...(options.weights === undefined ? {} : { weights: options.weights }),
    rollout: options.bakes === undefined ? null : bakingRollout(app, options.bakes),
  };
  return withClients(record, options);
}

function release(
  app: string,
  number: number,
  { drainTimeoutMs = 30_000, gate }: Pick<RecordOptions, "drainTimeoutMs" | "gate">,
): Release {
  const spec: Release["spec"] = {
    name: app,
    hostnames: [],
    count: 1,
    command: ["true"],
    checks: [],
    stop: { signal: "SIGTERM", timeoutMs: 1_000 },
    deploy: { strategy: "rolling", drainTimeoutMs, waitTimeoutMs: 60_000 },
    bundle: { hash: bundleHash("0".repeat(64)), bytes: 1 },
    ...(gate === undefined ? {} : { gate }),
  };
  return { number, specHash: String(number), spec, vmsNamed: 1, submittedAtMs: 0 };
}

export function vmEntry(vm: string, port: number | null, over: Partial<VmEntry> = {}): VmEntry {
  return {
    format: 1,
    vm: vmName(vm),
    app: appName(vm.replace(/-v\d+-\d+$/, "")),
    release: releaseOf(vm),
    host: HOST_1,
    state: "running",
    health: "healthy",
    address: port === null ? null : { host: "127.0.0.1", port },
    exit: null,
    reason: null,
    lastLines: [],
    restarts: 0,
    startedAtMs: null,
    healthyAtMs: null,
    ...over,
  };
}

/** An upstream on a free port. `seen` counts the requests that reached it. */
export interface Upstream {
  readonly server: HttpServer;
  readonly port: number;
  readonly connections: ReadonlySet<Socket>;
  seen: number;
  close(): Promise<void>;
}

export async function startUpstream(listener: RequestListener, port = 0): Promise<Upstream> {
  const connections = new Set<Socket>();
  const server = createServer((request, response) => {
    upstream.seen += 1;
    listener(request, response);
  });
  server.on("connection", (socket: Socket) => {
    connections.add(socket);
    socket.on("error", () => undefined);
    socket.once("close", () => connections.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(port, "127.0.0.1", () => resolve());
  });
  const close = async () => {
    for (const socket of connections) socket.destroy();
    if (server.listening) await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  const upstream: Upstream = {
    server,
    port: (server.address() as AddressInfo).port,
    connections,
    seen: 0,
    close,
  };
  return upstream;
}

/** A port at which nobody listens. */
export async function freePort(): Promise<number> {
  const { port, close } = await startUpstream(() => undefined);
  await close();
  return port;
}

/** Answers every request with `text`. */
export function answering(text: string): RequestListener {
  return (_request, response) => response.end(text);
}

export interface ServeOptions {
  readonly drainTimeoutMs?: number;
  readonly timing?: Partial<ProxyOptions["timing"]>;
}

/** A serving mark that outlives its proxy as a file does. */
class MemoryMark implements ServingMark {
  wasSet = false;

  async set(): Promise<void> {
    this.wasSet = true;
  }

  async clear(): Promise<void> {
    this.wasSet = false;
  }
}

export interface TestClusterOptions {
  /** In order of rank. Empty: nobody has named any yet. */
  readonly voters?: readonly string[];
}

export class TestCluster {
  /** Of the one proxy. */
  readonly mark: MemoryMark = new MemoryMark();
  readonly hub: MemoryHub = new MemoryHub();
  /** Has all VMs, and publishes all records, whoever the voters are. */
  readonly host: Mesh;
  /** All that proxies told the host, oldest first. */
  readonly messages: AckMessage[] = [];
  readonly #hosts = new Map<string, Mesh>();
  readonly #records = new Map<string, { readonly epoch: number; readonly record: AppRecord }>();
  readonly #listeners = new Set<() => void>();
  readonly #closes: (() => Promise<void>)[] = [];
  #voter: StandInVoter | undefined;
  /** Answers with records that voters gave, and by whom. */
  readonly registerReads: string[] = [];
  /** Seen at the time of the last read of the register. */
  registeredAtRead: readonly string[] = [];

  constructor({ voters = [HOST_1] }: TestClusterOptions = {}) {
    this.host = this.hostNamed(HOST_1);
    this.host.onTell(ACK_TOPIC, (bytes) => this.#heard(bytes));
    if (voters.length > 0) this.nameVoters(voters);
  }

  /** That host, which joins if it is not there yet. */
  hostNamed(name: string): Mesh {
    const there = this.#hosts.get(name);
    if (there !== undefined) return there;
    const mesh = this.hub.join({ name, role: "host" });
    mesh.handle(REGISTER_READ_SERVICE, (request, from) => this.answerRead(mesh, request, from));
    mesh.announce();
    this.#hosts.set(name, mesh);
    return mesh;
  }

  /** As the root key does. What is committed from now on they sign. */
  nameVoters(names: readonly string[], number = 1): StandInVoter {
    const meshes = names.map((name) => this.hostNamed(name));
    this.#voter = new StandInVoter(this.host, { number, meshes });
    this.#voter.publishList();
    return this.#voter;
  }

  get voter(): StandInVoter {
    if (this.#voter === undefined) throw new Error("nobody has named voters yet");
    return this.#voter;
  }

  async upstream(listener: RequestListener): Promise<Upstream> {
    const upstream = await startUpstream(listener);
    this.#closes.push(upstream.close);
    return upstream;
  }

  writeVm(vm: string, port: number | null, over: Partial<VmEntry> = {}): Version {
    return this.host.write(vmKey(vmName(vm)), encodeRecord(vmEntry(vm, port, over)));
  }

  /** Commits and gossips; returns the epoch. */
  commit(options: RecordOptions): number {
    const epoch = this.commitUntold(options);
    this.voter.publish(epoch, appRecord(options));
    return epoch;
  }

  /** Raises the register's epoch without telling anybody. */
  commitUntold(options: RecordOptions): number {
    const { app = "hello" } = options;
    const epoch = (this.#records.get(app)?.epoch ?? 0) + 1;
    this.#records.set(app, { epoch, record: appRecord(options) });
    return epoch;
  }

  async proxy(
    options: Partial<ProxyOptions> = {},
    stop: AbortController = new AbortController(),
  ): Promise<TestProxy> {
    return this.proxyOn(this.hub.join({ name: "proxy-1", role: "proxy" }), options, stop);
  }

  /** On a mesh that may hold something already, as after a start from the disk. */
  async proxyOn(
    mesh: Mesh,
    options: Partial<ProxyOptions> = {},
    stop: AbortController = new AbortController(),
    logger: Logger = silent,
  ): Promise<TestProxy> {
    const registers = new Registers({ cluster: STAND_IN_CLUSTER }, { mesh, logger });
    const proxy = await startProxy(
      {
        http: { host: "127.0.0.1", port: 0 },
        admin: { host: "127.0.0.1", port: 0 },
        region: "default",
        labels: {},
        responseHeaders: true,
        gate: null,
        timing: PROXY_TIMING,
        ...options,
      },
      {
        mesh,
        registers,
        mark: this.mark,
        meshCounters: () => ({}),
        config: {},
        recentLog: () => "",
        logger,
      },
      stop.signal,
    );
    let stopping: Promise<void> | undefined;
    const stopOnce = () => {
      stopping ??= proxy.stop().then(() => mesh.stop());
      return stopping;
    };
    this.#closes.unshift(stopOnce);
    return { ...proxy, mesh, stop: stopOnce, port: Number(new URL(proxy.http).port) };
  }

  /** A proxy that serves the app "hello" by these VMs, their ports by their names. It has dialled them all, or failed to. */
  async serve(vms: Readonly<Record<string, number>>, options: ServeOptions = {}): Promise<TestProxy> {
    const { drainTimeoutMs = 30_000, timing } = options;
    const proxy = await this.proxy({ timing: { ...PROXY_TIMING, ...timing } });
    for (const [vm, port] of Object.entries(vms)) this.writeVm(vm, port);
    const epoch = this.commit({ vms: Object.keys(vms).map((vm) => desiredVm(vm)), drainTimeoutMs });
    await this.waitForAck(({ applied, verified, nack }) => {
      return applied === epoch && (verified === epoch || nack !== null);
    });
    return proxy;
  }

  /** The latest answer of the proxy for `app`. */
  ack(app = "hello"): Ack | undefined {
    for (const message of this.messages.toReversed()) {
      const found = message.acks.find((ack) => ack.app === app);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Resolves to the first answer from now on, the latest one included, of which `isWanted` is true. */
  async waitForAck(isWanted: (ack: Ack) => boolean, app = "hello"): Promise<Ack> {
    for (;;) {
      const ack = this.ack(app);
      if (ack !== undefined && isWanted(ack)) return ack;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#listeners.add(resolve);
      await promise;
      this.#listeners.delete(resolve);
    }
  }

  async close(): Promise<void> {
    for (const close of this.#closes) await close();
    for (const host of this.#hosts.values()) await host.stop();
  }

  #heard(bytes: Uint8Array): void {
    const message = decodeRecord(ackMessageShape, bytes);
    if (!message.ok) throw new Error(`bad ack message: ${message.error}`);
    this.messages.push(message.value);
    for (const listener of [...this.#listeners]) listener();
  }

  /** As the voter on `mesh` answers who joins. */
  async *answerRead(mesh: Mesh, bytes: Uint8Array, from: OwnerId): AsyncGenerator<Uint8Array> {
    const request = decodeRecord(registerReadRequestShape, bytes);
    if (!request.ok) throw new Error(request.error);
    const { holds, records } = request.value;
    const held = holds === null ? undefined : mesh.store.get(from, holds.key);
    if (holds !== null && (held === undefined || compareVersions(held.version, holds.version) < 0)) {
      throw new Error(`${mesh.self.name} does not hold ${holds.key}`);
    }
    if (!records) return;
    this.registerReads.push(mesh.self.name);
    this.registeredAtRead = mesh.store.list("proxy/").map(({ key }) => key);
    yield* inPieces(encodeRegisterReadAnswer(this.certified()));
  }

  /** All records, as a majority has them. */
  certified(): Parameters<typeof encodeRegisterReadAnswer>[0] {
    return [...this.#records.values()].map(({ epoch, record }) => ({
      key: appKey(record.app),
      value: this.voter.certified(epoch, record),
    }));
  }
}

/** Small ones, as a large register comes. */
export function* inPieces(bytes: Uint8Array): Generator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += 100) yield bytes.subarray(offset, offset + 100);
}

export interface TestProxy extends RunningProxy {
  readonly mesh: Mesh;
  readonly port: number;
}
