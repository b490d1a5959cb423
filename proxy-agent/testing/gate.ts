// A gate for tests, with an agent that says what it is told to: a real gate, a real socket of the file system, real VMs.

import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Logger } from "pino";
import {
  appKey,
  decodeRecord,
  encodeRecord,
  type GateStanding,
  type HostEntry,
  hostKey,
  LocalLink,
  type MemberName,
  ownerId,
  type ToAgent,
  type ToGate,
  toAgentShape,
  uptimeMs,
  type VmPlace,
} from "../../mesh/index.ts";
import { standInCrypto } from "../../mesh/sim/stand-in-crypto.ts";
import { STAND_IN_CLUSTER } from "../../mesh/sim/stand-in-voter.ts";
import { type RunningGate, startGate } from "../gate.ts";
import { appRecord, HOST_1, type RecordOptions, silent, type TestCluster, vmEntry } from "./cluster.ts";

/** Checks what the stand-in voters of a test cluster sign. */
const crypto = standInCrypto(ownerId("gate"));

export interface TestGateOptions {
  /** By default a folder of its own. */
  readonly stateDir?: string;
  readonly logger?: Logger;
  /** Whose VMs it stands before; by default those of host-1. */
  readonly host?: MemberName;
  /** The clock of leases. */
  readonly uptimeMs?: () => number;
}

/** What a host says of itself: where its gate is. */
export function hostEntry(host: MemberName, port: number): HostEntry {
  const gate = { host: "127.0.0.1", port };
  return {
    format: 1,
    host,
    region: "default",
    labels: {},
    api: "http://127.0.0.1:1",
    pid: 1,
    voter: true,
    gate,
  };
}

export class TestGate {
  readonly #cluster: TestCluster;
  readonly #folder = mkdtempSync(path.join(tmpdir(), "grapevine-gate-"));
  readonly #options: TestGateOptions;
  #server: Server;
  #link: LocalLink | null = null;
  #gate: RunningGate | null = null;
  #listeners = new Set<() => void>();
  #places: readonly VmPlace[] = [];
  /** All that the gate said. */
  readonly heard: ToAgent[] = [];
  /** What its agent knows of hosts, as `proveEntries` gives it. */
  proofs: readonly Uint8Array[] = [];

  constructor(cluster: TestCluster, options: TestGateOptions = {}) {
    this.#cluster = cluster;
    this.#options = options;
    this.#server = createServer((socket) => {
      const onMessage = (bytes: Uint8Array) => this.#hear(bytes);
      const onEnd = () => {
        this.#link = null;
      };
      this.#link = new LocalLink(socket, { onMessage, onEnd });
      this.tell({ format: 1, kind: "voter-link", link: this.#cluster.voter.listLink() });
    });
  }

  /** Resolves when it listens and has said hello. The disk of an earlier start is there. */
  async start(port = 0): Promise<number> {
    if (!this.#server.listening)
      await new Promise<void>((resolve) => this.#server.listen(this.#file("agent.sock"), resolve));
    const hellos = this.#hellos;
    this.#gate = await startGate(
      {
        cluster: STAND_IN_CLUSTER,
        host: this.#options.host ?? HOST_1,
        stateDir: this.#options.stateDir ?? this.#folder,
        listen: { host: "127.0.0.1", port },
        agentSocket: this.#file("agent.sock"),
      },
      { logger: this.#options.logger ?? silent, crypto, uptimeMs: this.#options.uptimeMs ?? uptimeMs },
    );
    await this.until(() => this.#hellos > hellos);
    return this.port;
  }

  /** What its host says of itself: where its gate is. */
  announce(port: number = this.port): void {
    this.#cluster.host.write(hostKey(HOST_1), encodeRecord(hostEntry(HOST_1, port)));
  }

  get port(): number {
    return this.#gate?.address.port ?? 0;
  }

  /** Where proxies of its host attach. */
  get armSocket(): string {
    return this.#file("arms.sock");
  }

  describe(): string {
    return this.#gate?.describe() ?? "";
  }

  tell(message: ToGate): void {
    this.#link?.send(encodeRecord(message));
  }

  /** As its agent does once it has read a majority. */
  open(): void {
    this.tell({ format: 1, kind: "current" });
  }

  /** Commits at the cluster, and tells the gate; returns the epoch. */
  commit(options: RecordOptions): number {
    const epoch = this.#cluster.commit(options);
    this.tellRecord(epoch, options);
    return epoch;
  }

  tellRecord(epoch: number, options: RecordOptions): void {
    const record = appRecord(options);
    const value = this.#cluster.voter.certified(epoch, record);
    this.tell({ format: 1, kind: "record", key: appKey(record.app), value });
  }

  /** Where these VMs listen, by their names. */
  place(ports: Readonly<Record<string, number>>): void {
    this.#places = Object.entries(ports).map(([vm, port]) => {
      const { vm: name, app } = vmEntry(vm, port);
      return { vm: name, app, host: "127.0.0.1", port };
    });
    this.tell({ format: 1, kind: "vms", vms: this.#places });
  }

  standing(app = "hello"): GateStanding | undefined {
    for (const message of this.heard.toReversed()) {
      const found =
        message.kind === "standings" ? message.standings.find((one) => one.app === app) : undefined;
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** As the gate told it last. */
  counter(name: string): number | undefined {
    for (const message of this.heard.toReversed())
      if (message.kind === "counters") return message.counters[name];
    return undefined;
  }

  /** The first standing from now on, the latest included, that is as wanted. */
  async waitForStanding(isWanted: (standing: GateStanding) => boolean): Promise<GateStanding> {
    const find = () => {
      const standing = this.standing();
      return standing !== undefined && isWanted(standing) ? standing : undefined;
    };
    await this.until(() => find() !== undefined);
    return find() as GateStanding;
  }

  /** Resolves when it is true, after something that the gate said. */
  async until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#listeners.add(resolve);
      await promise;
      this.#listeners.delete(resolve);
    }
  }

  /** The agent goes away, and its socket with it. */
  async loseAgent(): Promise<void> {
    this.#link?.close("lost");
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async stop(): Promise<void> {
    await this.#gate?.stop();
    this.#gate = null;
  }

  /** Its disk is lost. */
  forget(): void {
    for (const suffix of ["", "-wal", "-shm"]) rmSync(this.#file(`gate.sqlite${suffix}`), { force: true });
  }

  /** And what arms left beside it, while they are there. */
  forgetMarks(): void {
    for (const name of readdirSync(this.#folder)) if (name.startsWith("arm-")) rmSync(this.#file(name));
  }

  async close(): Promise<void> {
    await this.stop();
    if (this.#server.listening) await this.loseAgent();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #hellos(): number {
    return this.heard.filter(({ kind }) => kind === "hello").length;
  }

  #file(name: string): string {
    return path.join(this.#folder, name);
  }

  #hear(bytes: Uint8Array): void {
    const message = decodeRecord(toAgentShape, bytes);
    if (!message.ok) throw new Error(`bad message of the gate: ${message.error}`);
    this.heard.push(message.value);
    if (message.value.kind === "ask-entries")
      this.tell({ format: 1, kind: "entries", app: message.value.app, proofs: this.proofs });
    for (const listener of [...this.#listeners]) listener();
  }
}
