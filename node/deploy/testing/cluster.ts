// A cluster in memory for tests of the coordinator: three hosts, the first of them the voter, and two proxies.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { appName, type Mesh, publishCommits, SingleVoterRegister } from "../../../mesh/index.ts";
import { MemoryHub } from "../../../mesh/sim/memory-mesh.ts";
import type { AppView } from "../app-view.ts";
import { Coordinator } from "../coordinator.ts";
import { FakeHost } from "./fake-host.ts";
import { FakeProxy } from "./fake-proxy.ts";

export class Cluster {
  readonly hub: MemoryHub = new MemoryHub();
  readonly voter: Mesh;
  readonly hosts: readonly FakeHost[];
  readonly proxies: readonly FakeProxy[];
  readonly register: SingleVoterRegister;
  readonly logged: { readonly fields: unknown; readonly message: string }[] = [];
  coordinator: Coordinator;
  readonly #folder = mkdtempSync(join(tmpdir(), "coordinator-"));

  constructor() {
    this.voter = this.hub.join({ name: "host-1", role: "host" });
    const others = ["host-2", "host-3"].map((name) => this.hub.join({ name, role: "host" }));
    const path = join(this.#folder, "register.sqlite");
    this.register = new SingleVoterRegister({ path }, { onCommit: publishCommits(this.voter) });
    this.hosts = [this.voter, ...others].map((mesh) => new FakeHost(mesh));
    const meshes = ["proxy-1", "proxy-2"].map((name) => this.hub.join({ name, role: "proxy" }));
    this.proxies = meshes.map((mesh) => new FakeProxy(mesh, this.voter.self.owner));
    this.coordinator = this.newCoordinator();
  }

  newCoordinator(): Coordinator {
    const log = (fields: unknown, message?: string) => this.logged.push({ fields, message: message ?? "" });
    return new Coordinator({
      mesh: this.voter,
      register: this.register,
      logger: { info: log, warn: log, error: log } as never,
      nowMs: () => performance.now(),
      wallMs: () => Date.now(),
    });
  }

  get #meshes(): readonly Mesh[] {
    return [...this.hosts, ...this.proxies].map(({ mesh }) => mesh);
  }

  async start(): Promise<void> {
    for (const mesh of this.#meshes) mesh.announce();
    await settled();
    await this.coordinator.start();
  }

  async stop(): Promise<void> {
    await this.coordinator.stop();
    await Promise.all(this.#meshes.map((mesh) => mesh.stop()));
    this.register.stop();
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
