// Agent: one host's parts, put together. Order matters: what survived is restored and published before our new incarnation
// is announced, and nothing is stopped before the records are known.

import { renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "pino";
import {
  type HostEntry,
  type HostPort,
  HostRegisters,
  parseHostPort,
  type Register,
  Registers,
  type RunningMesh,
  startMesh,
  toMultiaddr,
} from "../mesh/index.ts";
import { createApi } from "./api/api.ts";
import { convergenceMetrics } from "./api/convergence-metrics.ts";
import {
  type ApiListener,
  type ApiListenOptions,
  assertAddressIsFree,
  assertApiIsFree,
  listenApi,
} from "./api/listen.ts";
import { type AgentConfig, publicConfig } from "./config/agent-config.ts";
import { CustomEntries } from "./custom-entries.ts";
import { customFileAt } from "./custom-file.ts";
import { Coordinator } from "./deploy/coordinator.ts";
import { RolloutHistory } from "./deploy/rollout-history.ts";
import { GateHost } from "./gates/gate-host.ts";
import { GateTeller } from "./gates/gate-teller.ts";
import { runChecks } from "./health/prober.ts";
import { HostCordon, type HostUse } from "./host-cordon.ts";
import { Publisher } from "./publisher.ts";
import { QUERY_ENGINE_DEFAULTS, QueryEngine } from "./query/query-engine.ts";
import { Reconciler } from "./reconciler.ts";
import { Bundles } from "./releases/bundles.ts";
import { Envs } from "./releases/envs.ts";
import { FETCH_LAN } from "./releases/fetch.ts";
import { lockState, type StateLock } from "./state-lock.ts";
import { recordAsks } from "./vms/ask-records.ts";
import { ProcessDriver } from "./vms/process-driver.ts";
import type { VmDriver } from "./vms/vm-driver.ts";
import { VmHost } from "./vms/vm-host.ts";

/** What a supervisor or a test reads to find the agent: written once it is ready, gone once it is not. */
const READY_FILE = "agent.json";
const SOCKET_FILE = "agent.sock";
/** Where the gate of this host finds its agent. */
const GATE_SOCKET_FILE = "gate.sock";
/** Entries that people put under `custom/`. */
const CUSTOM_FILE = "custom-entries";

/** What an agent stands on. Others than these only to measure it: VMs that change when they are told, a mesh that is watched. */
export interface AgentGround {
  readonly startMesh: typeof startMesh;
  readonly driver: VmDriver;
  readonly runChecks: typeof runChecks;
}

export interface AgentDeps extends Partial<AgentGround> {
  readonly logger: Logger;
  /** The last lines that it wrote, for a bug report. */
  readonly recentLog: () => string;
}

interface AgentParts {
  readonly config: AgentConfig;
  readonly deps: AgentDeps & AgentGround;
  readonly mesh: RunningMesh;
  readonly registers: Registers;
  readonly host: HostRegisters;
  readonly bundles: Bundles;
  readonly envs: Envs;
  readonly lock: StateLock;
  readonly cordon: HostCordon;
}

export class Agent {
  readonly #config: AgentConfig;
  readonly #lock: StateLock;
  readonly #cordon: HostCordon;
  readonly #logger: Logger;
  readonly #recentLog: () => string;
  readonly #mesh: RunningMesh;
  readonly #publisher: Publisher;
  readonly #bundles: Bundles;
  readonly #envs: Envs;
  readonly #vmHost: VmHost;
  readonly #reconciler: Reconciler;
  readonly #custom: CustomEntries;
  readonly #queries: QueryEngine;
  readonly #registers: Registers;
  readonly #host: HostRegisters;
  readonly #gateHost: GateHost;
  readonly #gateTeller: GateTeller;
  /** While this host is a voter. */
  #coordinator: Coordinator | null = null;
  #isStopping = false;
  #api: ApiListener | null = null;

  /**
   * Resolves when it serves its API, knows its VMs, and has announced itself. Rejects with `StateLockedError`,
   * `ListenError` and others; nothing of it runs then. `stateDir` must exist.
   */
  static async start(config: AgentConfig, given: AgentDeps): Promise<Agent> {
    const deps = { startMesh, driver: new ProcessDriver(), runChecks, ...given };
    // Both before anything meets the cluster: a second start of an agent that runs must not disturb it.
    const lock = lockState(config.stateDir);
    try {
      await assertApiIsFree(apiOptionsOf(config));
      await assertAddressIsFree("listen", listenAddress(config));
      return await Agent.#startLocked({ config, lock, deps });
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  static async #startLocked(given: Pick<AgentParts, "config" | "lock" | "deps">): Promise<Agent> {
    const { config, deps } = given;
    const { logger } = deps;
    const cordon = await HostCordon.open(config.stateDir);
    const mesh = await deps.startMesh(
      {
        cluster: config.cluster,
        name: config.name,
        role: "host",
        stateDir: config.stateDir,
        listen: [toMultiaddr(config.listen)],
        advertise: config.advertise.map(toMultiaddr),
        seeds: config.seeds.map(toMultiaddr),
      },
      { logger },
    );
    let agent: Agent | null = null;
    let host: HostRegisters | null = null;
    try {
      const registers = new Registers({ cluster: config.cluster }, { mesh, logger });
      host = await HostRegisters.open(registers, { stateDir: config.stateDir });
      const envs = await Envs.open(
        { folder: join(config.stateDir, "envs"), fetch: FETCH_LAN },
        { mesh, apps: registers.apps, logger, nowMs: Date.now },
      );
      const bundles = await Bundles.open(config.stateDir, { mesh, logger });
      agent = new Agent({ ...given, mesh, registers, host, bundles, envs, cordon });
      await agent.#start();
      return agent;
    } catch (error) {
      // A voter's memory that cannot be read: nothing was put together, and the mesh must not stay a member without an agent.
      if (agent === null) {
        await host?.stop();
        await mesh.stop();
      } else {
        await agent.stop({ withVms: false });
      }
      throw error;
    }
  }

  private constructor({ config, deps, mesh, registers, host, bundles, envs, lock, cordon }: AgentParts) {
    const { logger, recentLog } = deps;
    this.#recentLog = recentLog;
    this.#lock = lock;
    this.#cordon = cordon;
    this.#config = config;
    this.#logger = logger;
    this.#mesh = mesh;
    this.#registers = registers;
    this.#host = host;
    this.#bundles = bundles;
    this.#publisher = new Publisher({ mesh });
    const file = customFileAt(join(config.stateDir, CUSTOM_FILE));
    this.#custom = new CustomEntries({ mesh, file, logger, nowMs: () => performance.now() });
    this.#envs = envs;
    this.#vmHost = this.#createVmHost(deps);
    this.#gateHost = this.#createGateHost();
    this.#gateTeller = new GateTeller({
      mesh,
      directory: registers.directory,
      standings: () => this.#gateHost.standings(),
    });
    this.#reconciler = new Reconciler({
      mesh,
      registers,
      vmHost: this.#vmHost,
      onAlone: () => this.#publishHost(),
      bundles: bundles.store,
      envs,
      spares: bundles.spares,
      logger,
    });
    this.#queries = new QueryEngine(QUERY_ENGINE_DEFAULTS, {
      mesh,
      apps: () => registers.apps.all(),
      log: logger,
    });
  }

  /** Leaves the cluster. The VMs run on, unless `withVms`. */
  async stop({ withVms }: { readonly withVms: boolean }): Promise<void> {
    rmSync(join(this.#config.stateDir, READY_FILE), { force: true });
    await this.#api?.close();
    await this.#queries.stop();
    await this.#custom.stop();
    await this.#reconciler.stop();
    await this.#bundles.spares.stop();
    await this.#gateHost.stop();
    this.#gateTeller.stop();
    this.#isStopping = true;
    this.#host.giveUp();
    await this.#coordinator?.stop();
    if (withVms) await this.#vmHost.stopAll();
    await this.#vmHost.leave();
    await this.#host.stop();
    await this.#mesh.stop();
    this.#lock.release();
  }

  async #start(): Promise<void> {
    const apiOptions = apiOptionsOf(this.#config);
    await this.#vmHost.restore();
    await this.#custom.restore();
    this.#registers.start();
    this.#host.start();
    // Its port may be one that the system chose: it is known only once it listens.
    const self = { ...this.#selfEntry(), api: `http://${apiOptions.api.host}:${apiOptions.api.port}` };
    this.#api = await listenApi(createApi(this.#apiDeps(self)), apiOptions);
    this.#publishHost();
    this.#mesh.announce();
    await this.#gateHost.start();
    this.#gateTeller.start();
    this.#host.onVoter(() => this.#lookAtVoting());
    this.#lookAtVoting();
    this.#reconciler.start();
    this.#writeReady(this.#api.url);
    this.#logger.info({ api: this.#api.url, mesh: this.#mesh.listenAddresses }, "agent is ready");
  }

  /** A voter drives apps; one that ceased to be one does not. */
  #lookAtVoting(): void {
    if (this.#isStopping) return;
    const { register } = this.#host;
    this.#publishHost();
    if ((register !== null) === (this.#coordinator !== null)) return;
    void this.#coordinator?.stop();
    this.#coordinator = register && this.#createCoordinator(register);
    this.#coordinator?.start();
  }

  async #setUse(use: HostUse): Promise<void> {
    await this.#cordon.set(use);
    this.#publishHost();
    this.#logger.info({ use }, "a person said what this host is used for");
  }

  #publishHost(): void {
    this.#publisher.publishHost({ ...this.#selfEntry(), api: this.#api?.url ?? "" });
  }

  #createVmHost({ driver, runChecks }: AgentGround): VmHost {
    const { name, stateDir, vmPorts, vmAddress, gate } = this.#config;
    return new VmHost(
      {
        host: name,
        folder: join(stateDir, "vms"),
        vmPorts: { from: vmPorts.first, to: vmPorts.last },
        bindHost: vmAddress,
        hasGate: gate !== null,
      },
      {
        driver,
        runChecks,
        bundles: this.#bundles,
        envs: this.#envs,
        ...recordAsks({ mesh: this.#mesh, registers: this.#registers, logger: this.#logger }),
        madeVolumes: (app) => this.#registers.apps.get(app)?.record.home?.made ?? [],
        onLease: () => this.#gateHost.vmsChanged(),
        publish: (vm, entry) => {
          this.#publisher.publishVm(vm, entry);
          this.#gateHost.vmsChanged();
          this.#reconciler.vmsChanged();
        },
        logger: this.#logger,
        nowMs: Date.now,
      },
    );
  }

  #createGateHost(): GateHost {
    const { cluster, stateDir } = this.#config;
    return new GateHost(
      { cluster, socketFile: join(stateDir, GATE_SOCKET_FILE) },
      {
        mesh: this.#mesh,
        registers: this.#registers,
        places: () => this.#vmHost.places(),
        onStandings: (standings) => this.#gateTeller.changed(standings),
        logger: this.#logger,
      },
    );
  }

  #createCoordinator(register: Register): Coordinator {
    return new Coordinator({
      mesh: this.#mesh,
      register,
      voters: this.#registers.directory,
      logger: this.#logger,
      nowMs: () => performance.now(),
      wallMs: Date.now,
      repairAfterMs: this.#config.replaceAfterMs,
      history: new RolloutHistory(this.#config.stateDir, this.#logger),
    });
  }

  #apiDeps(self: HostEntry): Parameters<typeof createApi>[0] {
    return {
      mesh: this.#mesh,
      self,
      registers: this.#registers,
      voting: this.#host,
      deploys: () => this.#coordinator,
      bundles: this.#bundles.store,
      envs: this.#envs,
      fetchBundle: (hash, signal) => this.#bundles.fetcher.fetch(hash, signal),
      vms: this.#vmHost,
      setUse: (use) => this.#setUse(use),
      entries: this.#custom,
      metrics: () => this.#metrics(),
      config: publicConfig(this.#config),
      queries: this.#queries,
      recentLog: this.#recentLog,
      log: this.#logger,
    };
  }

  #selfEntry(): Omit<HostEntry, "api"> {
    const { name, region, labels, vmPorts, gate } = this.#config;
    // Each VM takes a port.
    const capacity = vmPorts.last - vmPorts.first + 1;
    const voter = this.#host.register !== null;
    const { alone } = this.#reconciler;
    const said = { region, labels, pid: process.pid, voter, ...this.#cordon.said, capacity, alone };
    return { format: 1, host: name, ...said, ...(gate === null ? {} : { gate }) };
  }

  #metrics(): string {
    const lines = [
      ...countersOf("mesh", this.#mesh.metrics()),
      ...countersOf("register", this.#registers.metrics()),
    ];
    const convergence = convergenceMetrics(this.#mesh.convergence());
    const rollouts = this.#coordinator === null ? [] : [this.#coordinator.metrics()];
    const parts = [
      ...this.#gateHost.metrics(),
      ...this.#envs.metrics(),
      ...rollouts,
      this.#custom.metrics(),
      convergence,
    ];
    return [...lines, ...parts].join("\n");
  }

  #writeReady(api: string): void {
    const file = join(this.#config.stateDir, READY_FILE);
    writeFileSync(`${file}.new`, `${JSON.stringify({ name: this.#config.name, api, pid: process.pid })}\n`);
    renameSync(`${file}.new`, file);
  }
}

function countersOf(part: string, counters: Readonly<Record<string, number>>): readonly string[] {
  return Object.entries(counters).map(
    ([name, value]) => `grapevine_${part}_${name.replaceAll("-", "_")}_total ${value}`,
  );
}

function apiOptionsOf({ api, stateDir }: AgentConfig): ApiListenOptions {
  return { api, socketFile: join(stateDir, SOCKET_FILE) };
}

function listenAddress({ listen }: AgentConfig): HostPort {
  const parsed = parseHostPort(listen);
  if (!parsed.ok) throw new Error(`agent: ${parsed.error}`);
  return parsed.value;
}
