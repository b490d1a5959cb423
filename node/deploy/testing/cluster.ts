// A cluster in memory for tests of the coordinator: three hosts, the first of them the voter, and two proxies.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { appName, HostRegisters, type Mesh, type Register, Registers } from "../../../mesh/index.ts";
import { MemoryHub } from "../../../mesh/sim/memory-mesh.ts";
import { nameStandInVoters, STAND_IN_CLUSTER } from "../../../mesh/sim/stand-in-voter.ts";
import type { AppView } from "../app-view.ts";
import { Coordinator } from "../coordinator.ts";
import { RolloutHistory } from "../rollout-history.ts";
import { FakeHost } from "./fake-host.ts";
import { FakeProxy } from "./fake-proxy.ts";

export class Cluster {
  readonly hub: MemoryHub = new MemoryHub();
  readonly voter: Mesh;
  readonly hosts: readonly FakeHost[];
  readonly proxies: readonly FakeProxy[];
  readonly logged: { readonly fields: unknown; readonly message: string }[] = [];
  readonly #registers: Registers;
  readonly #folder = mkdtempSync(join(tmpdir(), "coordinator-"));
  #host: HostRegisters | undefined;
  #coordinator: Coordinator | undefined;

  constructor() {
    this.voter = this.hub.join({ name: "host-1", role: "host" });
    const others = ["host-2", "host-3"].map((name) => this.hub.join({ name, role: "host" }));
    const logger = pino({ level: "silent" });
    this.#registers = new Registers({ cluster: STAND_IN_CLUSTER }, { mesh: this.voter, logger });
    this.hosts = [this.voter, ...others].map((mesh) => new FakeHost(mesh, { isVoter: mesh === this.voter }));
    const meshes = ["proxy-1", "proxy-2"].map((name) => this.hub.join({ name, role: "proxy" }));
    this.proxies = meshes.map((mesh) => new FakeProxy(mesh, this.voter.self.owner));
  }

  get register(): Register {
    const register = this.#host?.register;
    if (register == null) throw new Error("the cluster was not started");
    return register;
  }

  get coordinator(): Coordinator {
    if (this.#coordinator === undefined) throw new Error("the cluster was not started");
    return this.#coordinator;
  }

  set coordinator(coordinator: Coordinator) {
    this.#coordinator = coordinator;
  }

  /** `register`: in place of the cluster's own, as the coordinator sees it. */
  newCoordinator(register: Register = this.register): Coordinator {
    const log = (fields: unknown, message?: string) => this.logged.push({ fields, message: message ?? "" });
    return new Coordinator({
      mesh: this.voter,
      register,
      voters: this.#registers.directory,
      logger: { info: log, warn: log, error: log } as never,
      nowMs: () => performance.now(),
      wallMs: () => Date.now(),
      repairAfterMs: 60_000,
      history: new RolloutHistory(this.#folder, { warn: log } as never),
    });
  }

  get #meshes(): readonly Mesh[] {
    return [...this.hosts, ...this.proxies].map(({ mesh }) => mesh);
  }

  async start(): Promise<void> {
    this.#host = await HostRegisters.open(this.#registers, { stateDir: this.#folder });
    this.#registers.start();
    this.#host.start();
    for (const mesh of this.#meshes) mesh.announce();
    await settled();
    await nameStandInVoters(this.#host, [this.voter.self.name]);
    this.coordinator = this.newCoordinator();
    this.coordinator.start();
  }

  async stop(): Promise<void> {
    await this.coordinator.stop();
    await this.#host?.stop();
    await Promise.all(this.#meshes.map((mesh) => mesh.stop()));
    rmSync(this.#folder, { recursive: true });
  }

  /** The first view that `wanted` accepts. */
  async until(app: string, wanted: (view: AppView) => boolean): Promise<AppView> {
    const signal = new AbortController().signal;
    for await (const view of this.coordinator.watch(appName(app), signal)) if (wanted(view)) return view;
    throw new Error(`the watch of ${app} ended`);
  }

  ended(app: string): Promise<AppView> {
    return this.until(app, (view) => view.rollout !== null && view.rollout.state !== "running");
  }

  /** VMs that run on any host, by name. */
  get running(): readonly string[] {
    return this.hosts.flatMap((host) => [...host.running]).sort();
  }
}

/** All microtasks of the hub have run. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
