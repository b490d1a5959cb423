// Dev cluster: real agents, gates and proxies as processes on loopback, none the parent of another. `dev` shows one, `demo` and the cluster tests drive one.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createClusterRoot, makeFolder } from "../../../mesh/index.ts";
import { lockState, type StateLock, StateLockedError } from "../../state-lock.ts";
import { ProcessDriver } from "../../vms/process-driver.ts";
import { stopLeftoverVms } from "../../vms/vm-host.ts";
import { ApiClient } from "../api-client.ts";
import { firstVotersOf, nameFirstVoters } from "../name-voters.ts";
import { DEV_MEMBERS_MAX, type PortBlock, takePortBlock } from "./port-block.ts";
import { devClusterFile, devClusterFolder } from "./running-clusters.ts";
import { SupervisedMember } from "./supervised-member.ts";

/** Longer than an agent takes to stop VMs with a usual `stop.timeout`. */
const OLD_AGENT_TIMEOUT_MS = 20_000;
const OLD_AGENT_LOOK_MS = 50;

export interface DevOptions {
  /** 1 to `DEV_MEMBERS_MAX`. The first three are the voters; of two the first is. */
  readonly hosts: number;
  /** 0 to `DEV_MEMBERS_MAX`. */
  readonly proxies: number;
  /** Folder that keeps the cluster over restarts; null: a temporary one that goes with it. */
  readonly stateDir: string | null;
  readonly logLevel?: string;
  /** Of every agent, as in its configuration: "1s". Default: the agents' own. */
  readonly replaceAfter?: string;
  /** Each agent starts when the one before is ready: many at once starve each other on few cores. Default: false. */
  readonly isStaggered?: boolean;
  /** Proxy N is an arm of the gate of host N: it sends requests to that host's VMs itself. Default: false. */
  readonly isArmed?: boolean;
  /** Commands that are told no agent find this cluster. One for each process. Default: false. */
  readonly isFindable?: boolean;
}

export interface DevAgent {
  readonly name: string;
  readonly api: string;
  readonly pid: number;
}

export interface DevGate {
  readonly name: string;
  /** Whose VMs it stands before. */
  readonly host: string;
  readonly pid: number;
}

export interface DevProxy {
  readonly name: string;
  readonly http: string;
  readonly admin: string;
  readonly pid: number;
}

/** What `dev --json` prints in one line. */
export interface DevClusterView {
  readonly agents: readonly DevAgent[];
  readonly gates: readonly DevGate[];
  readonly proxies: readonly DevProxy[];
}

interface Member<View> {
  readonly process: SupervisedMember;
  readonly view: () => View;
  readonly folder: string;
}

export class DevCluster {
  readonly stateDir: string;
  readonly #isTemporary: boolean;
  readonly #isFindable: boolean;
  readonly #ports: PortBlock;
  readonly #lock: StateLock;
  readonly #agents: Member<DevAgent>[] = [];
  readonly #gates: Member<DevGate>[] = [];
  readonly #proxies: Member<DevProxy>[] = [];
  #stopped: Promise<void> | null = null;
  readonly #naming = new AbortController();

  /**
   * Resolves when every member is ready. Rejects, with nothing left running, when one could not start or `signal`
   * aborted before.
   */
  static async start(options: DevOptions, signal?: AbortSignal): Promise<DevCluster> {
    const isTemporary = options.stateDir === null;
    const stateDir = resolve(options.stateDir ?? mkdtempSync(join(tmpdir(), "grapevine-")));
    makeFolder(stateDir);
    const lock = lockState(stateDir);
    const ports = await takePortBlock().catch((error: unknown) => {
      lock.release();
      if (isTemporary) rmSync(stateDir, { recursive: true, force: true });
      throw error;
    });
    const isFindable = options.isFindable === true;
    const cluster = new DevCluster({ stateDir, isTemporary, isFindable, lock, ports });
    // Its members end before they are ready, which is what the start below waits for.
    const abort = (): void => void cluster.stop();
    signal?.addEventListener("abort", abort, { once: true });
    try {
      signal?.throwIfAborted();
      await cluster.#startMembers(options);
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  private constructor(parts: {
    stateDir: string;
    isTemporary: boolean;
    isFindable: boolean;
    lock: StateLock;
    ports: PortBlock;
  }) {
    this.stateDir = parts.stateDir;
    this.#isTemporary = parts.isTemporary;
    this.#isFindable = parts.isFindable;
    this.#lock = parts.lock;
    this.#ports = parts.ports;
  }

  view(): DevClusterView {
    return {
      agents: this.#agents.map((member) => member.view()),
      gates: this.#gates.map((member) => member.view()),
      proxies: this.#proxies.map((member) => member.view()),
    };
  }

  /** The folder of a member's state, with its log beside: `host-1`, `gate-1`, `proxy-2`. */
  folder(member: string): string {
    return join(this.stateDir, member);
  }

  /** Resolves when the member's process of now is ready: after a kill, when it came back. */
  async ready(member: string): Promise<void> {
    await this.#member(member).ready();
  }

  /** Kills a member, and lets it stay away until `restart`. Of an agent its VMs run on. */
  lose(member: string): Promise<void> {
    return this.#member(member).lose();
  }

  /** Resolves when it is ready. */
  async restart(member: string): Promise<void> {
    this.#member(member).restart();
    await this.ready(member);
  }

  /** Stops proxies, then gates, then agents with their VMs, then VMs whose agent was down. Nothing of the cluster runs afterwards. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#naming.abort();
    // First: a command that looks for a cluster must not find one that is going.
    if (this.#isFindable) rmSync(devClusterFile(process.pid), { force: true });
    await Promise.all(this.#proxies.map((proxy) => proxy.process.stop()));
    await Promise.all(this.#gates.map((gate) => gate.process.stop()));
    await Promise.all(this.#agents.map((agent) => agent.process.stop()));
    const driver = new ProcessDriver();
    for (const agent of this.#agents) await stopLeftoverVms(join(agent.folder, "vms"), driver);
    await this.#ports.release();
    this.#lock.release();
    if (this.#isTemporary) rmSync(this.stateDir, { recursive: true, force: true });
  }

  async #startMembers(options: DevOptions): Promise<void> {
    const shared = {
      cluster: await this.#clusterId(),
      seeds: [`127.0.0.1:${this.#ports.host(0).mesh}`],
      log_level: options.logLevel ?? "info",
    };
    const { replaceAfter } = options;
    const ofAgents = replaceAfter === undefined ? shared : { ...shared, replace_after: replaceAfter };
    for (let index = 0; index < options.hosts; index++) {
      await this.#untilAgentIsGone(index);
      if (this.#stopped !== null) throw new Error("interrupted");
      this.#agents.push(this.#startAgent(index, ofAgents));
      if (options.isStaggered === true) await this.#agents.at(-1)?.process.ready();
      this.#gates.push(this.#startGate(index, shared));
    }
    for (let index = 0; index < options.proxies; index++) {
      const isOfHost = options.isArmed === true && index < options.hosts;
      const gate = isOfHost
        ? { gate_socket: join(this.folder(`gate-${index + 1}`), "state", "arms.sock") }
        : {};
      this.#proxies.push(this.#startProxy(index, { ...shared, ...gate }));
    }
    await Promise.all(this.#agents.map((agent) => agent.process.ready()));
    await this.#nameVoters();
    await Promise.all(
      [...this.#agents, ...this.#gates, ...this.#proxies].map((member) => member.process.ready()),
    );
    this.#publish();
  }

  /** Of a cluster that has voters they stay. */
  async #nameVoters(): Promise<void> {
    const voters = firstVotersOf(this.#agents.map(({ process }) => process.name));
    const [first] = this.#agents;
    if (first === undefined || this.#stopped !== null) return;
    const client = new ApiClient([{ address: first.view().api, name: first.process.name, isVerified: true }]);
    const { signal } = this.#naming;
    try {
      await nameFirstVoters(client, { hosts: voters, rootKeyFile: join(this.stateDir, "root.key") }, signal);
    } finally {
      await client.close();
    }
  }

  /** After a kill of an earlier `dev` its agents still stop their VMs: two at one state would fight over them. */
  async #untilAgentIsGone(index: number): Promise<void> {
    const state = join(this.folder(`host-${index + 1}`), "state");
    if (!existsSync(state)) return;
    const deadlineMs = performance.now() + OLD_AGENT_TIMEOUT_MS;
    while (this.#stopped === null) {
      try {
        lockState(state).release();
        return;
      } catch (error) {
        if (!(error instanceof StateLockedError) || performance.now() > deadlineMs) throw error;
      }
      await sleep(OLD_AGENT_LOOK_MS);
    }
  }

  #startAgent(index: number, shared: Record<string, unknown>): Member<DevAgent> {
    const name = `host-${index + 1}`;
    const ports = this.#ports.host(index);
    const api = `127.0.0.1:${ports.api}`;
    const folder = this.folder(name);
    const configFile = this.#writeConfig(name, {
      name,
      ...shared,
      state_dir: "state",
      listen: `127.0.0.1:${ports.mesh}`,
      api,
      gate: `127.0.0.1:${this.#ports.gate(index).listen}`,
      vm_ports: `${ports.vms.from}-${ports.vms.to}`,
    });
    const readyFile = join(folder, "state", "agent.json");
    const process = this.#supervise({ name, role: "agent", configFile, readyFile });
    return {
      process,
      folder: join(folder, "state"),
      view: () => ({ name, api: `http://${api}`, pid: process.pid }),
    };
  }

  /** Of the host of that index. It is no member: it needs no seeds. */
  #startGate(index: number, { cluster, log_level }: Record<string, unknown>): Member<DevGate> {
    const name = `gate-${index + 1}`;
    const host = `host-${index + 1}`;
    const folder = this.folder(name);
    const configFile = this.#writeConfig(name, {
      host,
      cluster,
      log_level,
      state_dir: "state",
      listen: `127.0.0.1:${this.#ports.gate(index).listen}`,
      agent_socket: join(this.folder(host), "state", "gate.sock"),
    });
    const readyFile = join(folder, "state", "gate.json");
    const process = this.#supervise({ name, role: "gate", configFile, readyFile });
    return { process, folder: join(folder, "state"), view: () => ({ name, host, pid: process.pid }) };
  }

  #startProxy(index: number, shared: Record<string, unknown>): Member<DevProxy> {
    const name = `proxy-${index + 1}`;
    const ports = this.#ports.proxy(index);
    const http = `127.0.0.1:${ports.http}`;
    const admin = `127.0.0.1:${ports.admin}`;
    const folder = this.folder(name);
    const configFile = this.#writeConfig(name, {
      name,
      ...shared,
      state_dir: "state",
      listen: `127.0.0.1:${ports.mesh}`,
      http,
      admin,
    });
    const readyFile = join(folder, "state", "proxy.json");
    const process = this.#supervise({ name, role: "proxy", configFile, readyFile });
    return {
      process,
      folder: join(folder, "state"),
      view: () => ({ name, http: `http://${http}`, admin: `http://${admin}`, pid: process.pid }),
    };
  }

  #supervise(options: {
    name: string;
    role: "agent" | "gate" | "proxy";
    configFile: string;
    readyFile: string;
  }): SupervisedMember {
    const logFile = join(this.folder(options.name), `${options.role}.log`);
    return new SupervisedMember({ ...options, logFile }, () => this.#publish());
  }

  /** All our values are strings, numbers, or arrays of strings: JSON's notation of them is TOML's too. */
  #writeConfig(name: string, config: Record<string, unknown>): string {
    const file = join(this.folder(name), "config.toml");
    mkdirSync(this.folder(name), { recursive: true });
    const lines = Object.entries(config).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`);
    writeFileSync(file, lines.join(""));
    return file;
  }

  async #clusterId(): Promise<string> {
    const known = this.#knownClusterId();
    if (known !== null) return known;
    const root = await createClusterRoot(this.stateDir);
    if (!root.ok) throw new Error(`cannot make a cluster in ${this.stateDir}: ${root.error}`);
    return root.value.id;
  }

  /** As `createClusterRoot` wrote it at an earlier start; null: this is the first. */
  #knownClusterId(): string | null {
    const file = join(this.stateDir, "cluster.toml");
    return existsSync(file) ? (/^id = "(.*)"$/m.exec(readFileSync(file, "utf8"))?.[1] ?? null) : null;
  }

  #member(name: string): SupervisedMember {
    const found = [...this.#agents, ...this.#gates, ...this.#proxies].find(
      (member) => member.process.name === name,
    );
    if (found === undefined) throw new Error(`no member ${name}`);
    return found.process;
  }

  /** Writes down where all is, for commands that look for a running cluster. */
  #publish(): void {
    if (!this.#isFindable || this.#stopped !== null) return;
    mkdirSync(devClusterFolder(), { recursive: true, mode: 0o700 });
    const file = devClusterFile(process.pid);
    writeFileSync(`${file}.new`, JSON.stringify(this.view()), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }
}

/** What is wrong with the options of a dev cluster, or null. */
export function refuseDevOptions(options: DevOptions): string | null {
  if (!isCount(options.hosts, 1)) return `--hosts must be a whole number from 1 to ${DEV_MEMBERS_MAX}`;
  if (!isCount(options.proxies, 0)) return `--proxies must be a whole number from 0 to ${DEV_MEMBERS_MAX}`;
  return null;
}

function isCount(value: number, min: number): boolean {
  return Number.isInteger(value) && value >= min && value <= DEV_MEMBERS_MAX;
}
