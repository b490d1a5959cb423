// VM host harness: one host's state folder over restarts of its agent, for the tests of VmHost.

import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import {
  type AppSpec,
  appName,
  bundleHash,
  type Check,
  type EnvHash,
  type EnvRef,
  fail,
  type LeaseAnswer,
  memberName,
  ok,
  type Release,
  type VmEntry,
  type VmName,
  type VmPhase,
  vmName,
} from "../../mesh/index.ts";
import { runChecks } from "../health/prober.ts";
import type { VmDriver } from "./vm-driver.ts";
import { VmHost, type WantedVm } from "./vm-host.ts";

export const vm: VmName = vmName("hello-v1-1");
/** Listens where it is told; the last lines of its output say so. */
const SERVER = `
  const http = require("http");
  http.createServer((request, response) => response.end(process.env.GRAPEVINE_VM)).listen(process.env.PORT, process.env.HOST,
    () => console.log("listening"));`;

export interface SpecChanges {
  readonly command?: readonly string[];
  readonly checks?: readonly Check[];
  readonly stop?: AppSpec["stop"];
  readonly env?: EnvRef;
  readonly deploy?: AppSpec["deploy"];
  readonly fence?: NonNullable<AppSpec["fence"]>;
  readonly volumes?: NonNullable<AppSpec["volumes"]>;
}

export function release(changes: SpecChanges = {}): Release {
  const spec: AppSpec = {
    name: "hello",
    hostnames: ["hello.localhost"],
    count: 1,
    command: ["node", "server.js"],
    checks: [],
    stop: { signal: "SIGTERM", timeoutMs: 5_000 },
    deploy: { strategy: "rolling", drainTimeoutMs: 1_000, waitTimeoutMs: 1_000 },
    bundle: { hash: bundleHash("a".repeat(64)), bytes: 1 },
    ...changes,
  };
  return { number: 1, specHash: "b".repeat(64), spec, vmsNamed: 1, submittedAtMs: 0 };
}

export function wanted(phase: VmPhase, changes: SpecChanges = {}, name: VmName = vm): WantedVm {
  return { vm: name, app: appName("hello"), release: release(changes), phase };
}

type Published = ReadonlyMap<VmName, VmEntry>;

/** A state folder and the agents that come and go over it. What was published is kept as the mesh would. */
export class HostHarness {
  readonly root: string;
  readonly published: Map<VmName, VmEntry> = new Map<VmName, VmEntry>();
  /** Every entry in the order it was published; null: deleted. */
  readonly history: (VmEntry | null)[] = [];
  readonly #newDriver: () => VmDriver;
  #watchers: (() => void)[] = [];
  #hosts: VmHost[] = [];
  ports: { from: number; to: number } = { from: 21_000, to: 21_999 };
  /** What the records say when they are read before a release command is started, or a VM that runs alone. */
  isWanted = true;
  /** For which VMs that was asked. */
  readonly asked: VmName[] = [];
  /** Of the record that says so. */
  epoch = 1;
  madeVolumes: readonly string[] = [];
  /** What a majority of the voters says of a lease, asked now. */
  askLease: (question: { readonly vm: VmName }, signal: AbortSignal) => Promise<LeaseAnswer> = async () => ({
    epoch: 1,
    isNamed: this.isWanted,
  });
  /** Envs that can be had. */
  readonly envs: Map<EnvHash, Readonly<Record<string, string>>> = new Map();
  /** What unpacking does when it shall not copy the app's files. */
  unpack: (folder: string, signal: AbortSignal) => Promise<void>;

  static async create(newDriver: () => VmDriver): Promise<HostHarness> {
    const root = await mkdtemp(join(tmpdir(), "grapevine-host-"));
    await mkdir(join(root, "app"));
    await writeFile(join(root, "app", "server.js"), SERVER);
    return new HostHarness(root, newDriver);
  }

  private constructor(root: string, newDriver: () => VmDriver) {
    this.root = root;
    this.#newDriver = newDriver;
    this.unpack = async (folder) => await cp(join(root, "app"), folder, { recursive: true });
  }

  get folder(): string {
    return join(this.root, "state", "vms");
  }
  folderOf(name: VmName): string {
    return join(this.folder, name);
  }

  /** A fresh agent over the state folder: it has published nothing yet. */
  async startAgent(driver: VmDriver = this.#newDriver()): Promise<VmHost> {
    this.published.clear();
    const host = new VmHost(
      {
        host: memberName("host-1"),
        folder: this.folder,
        vmPorts: this.ports,
        bindHost: "127.0.0.1",
        hasGate: false,
      },
      {
        driver,
        runChecks,
        bundles: { unpack: (_hash, folder, signal) => this.unpack(folder, signal) },
        wantedEpoch: async (name) => {
          this.asked.push(name);
          return this.isWanted ? this.epoch : null;
        },
        askLease: (question, signal) => this.askLease(question, signal),
        onLease: () => undefined,
        madeVolumes: () => this.madeVolumes,
        envs: {
          fetch: async (ref) =>
            this.envs.has(ref.hash) ? ok(null) : fail(`nobody gives it: ${ref.host} is away`),
          read: async (ref) => ok(this.envs.get(ref.hash) ?? {}),
        },
        publish: (name, entry) => this.#publish(name, entry),
        logger: pino({ level: "silent" }),
        nowMs: Date.now,
      },
    );
    this.#hosts.push(host);
    await host.restore();
    return host;
  }

  /** Resolves once what is published fits. */
  async until(fits: (published: Published) => boolean): Promise<void> {
    while (!fits(this.published)) await new Promise<void>((wake) => this.#watchers.push(wake));
  }

  /** The entry of the VM as soon as it fits. */
  async entry(fits: Partial<VmEntry>, name: VmName = vm): Promise<VmEntry> {
    const matches = (entry: VmEntry | undefined) =>
      entry !== undefined &&
      Object.entries(fits).every(([key, value]) => entry[key as keyof VmEntry] === value);
    await this.until((published) => matches(published.get(name)));
    return this.published.get(name) as VmEntry;
  }

  async gone(name: VmName = vm): Promise<void> {
    await this.until((published) => !published.has(name));
  }

  /** It hangs for ever in what it does, as a killed one would: `close` does not wait for it. */
  forget(host: VmHost): void {
    this.#hosts = this.#hosts.filter((one) => one !== host);
  }

  async close(): Promise<void> {
    for (const host of this.#hosts) await host.leave();
    const last = await this.startAgent();
    last.reconcile([]);
    await this.until((published) => published.size === 0);
    await last.leave();
    await rm(this.root, { recursive: true, force: true });
  }

  #publish(name: VmName, entry: VmEntry | null): void {
    this.history.push(entry);
    if (entry === null) this.published.delete(name);
    else this.published.set(name, entry);
    for (const wake of this.#watchers.splice(0)) wake();
  }
}
