// Container cluster: agents and proxies of one cluster, each in a container of its own, as docker/compose.yaml has them.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClusterRoot } from "../../../mesh/index.ts";
import type { AppView } from "../../../node/deploy/app-view.ts";
import type { CommandResult } from "../command.ts";
import type { Container } from "./container.ts";
import { ContainerRun, MOUNTED_FOLDER } from "./run.ts";

const MESH_PORT = 7946;
const HTTP_PORT = 8080;
/** What a member logs once it serves; a proxy that was killed serves before it is current. */
const READY = { agent: /"msg":"agent is ready"/, proxy: /"msg":"proxy serves"/ } as const;

type Role = keyof typeof READY;

export interface ClusterSize {
  /** The first is the voter. */
  readonly hosts: number;
  readonly proxies: number;
}

export class ContainerCluster {
  readonly run: ContainerRun;
  readonly #members = new Map<string, { readonly container: Container; readonly role: Role }>();

  /** Resolves when every member is ready. Rejects, with nothing left, when one could not start. */
  static async start(options: ClusterSize & { readonly image: string }): Promise<ContainerCluster> {
    const cluster = new ContainerCluster(await ContainerRun.start(options));
    try {
      await cluster.#startMembers(options);
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  private constructor(run: ContainerRun) {
    this.run = run;
  }

  /** `host-1`, `proxy-2`. */
  member(name: string): Container {
    return this.#member(name).container;
  }

  /** Resolves when its process of now is ready: after `startAgain`, when it came back. Rejects with its log when it ended. */
  async ready(name: string): Promise<void> {
    const { container, role } = this.#member(name);
    await container.waitForLog(READY[role]);
  }

  /** Where clients on this machine reach a proxy. */
  url(proxy: string): Promise<string> {
    return this.member(proxy).url(HTTP_PORT);
  }

  /** `grapevine …args` in the container of a host. */
  grapevine(args: readonly string[], host = "host-1"): Promise<CommandResult> {
    return this.member(host).exec(["grapevine", ...args]);
  }

  /** Rejects when the host does not know the app. */
  async view(app: string): Promise<AppView> {
    const { code, stdout, stderr } = await this.grapevine(["status", app, "--json"]);
    if (code !== 0) throw new Error(`status ${app}: exit code ${code}: ${stderr}`);
    return JSON.parse(stdout) as AppView;
  }

  /** Rejects when something of it is left afterwards. */
  async stop(): Promise<void> {
    await this.run.remove();
  }

  async #startMembers({ hosts, proxies }: ClusterSize): Promise<void> {
    const names = { agent: numbered("host", hosts), proxy: numbered("proxy", proxies) };
    const shared = {
      cluster: await newClusterId(),
      state_dir: "/var/lib/grapevine",
      listen: `0.0.0.0:${MESH_PORT}`,
      seeds: names.agent.map((name) => `${name}:${MESH_PORT}`),
      voters: names.agent.slice(0, 1),
    };
    const all = [
      ...names.agent.map((name) => this.#startMember("agent", { name, ...shared })),
      ...names.proxy.map((name) =>
        this.#startMember("proxy", { name, ...shared, http: `0.0.0.0:${HTTP_PORT}` }),
      ),
    ];
    // All of them to their end: what is still starting could not be removed.
    for (const { status, reason } of (await Promise.allSettled(all)) as PromiseRejectedResult[])
      if (status === "rejected") throw reason;
  }

  /** All our values are strings or arrays of strings: JSON's notation of them is TOML's too. */
  async #startMember(
    role: Role,
    config: { readonly name: string; readonly [key: string]: unknown },
  ): Promise<void> {
    const { name } = config;
    const keys = Object.entries({ ...config, advertise: [`${name}:${MESH_PORT}`] });
    const lines = keys.map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`);
    writeFileSync(join(this.run.folder, `${name}.toml`), lines.join(""));
    const args = [role, "--config", `${MOUNTED_FOLDER}/${name}.toml`];
    const container = await this.run.start({ name, args });
    this.#members.set(name, { container, role });
    await this.ready(name);
  }

  #member(name: string): { readonly container: Container; readonly role: Role } {
    const found = this.#members.get(name);
    if (found === undefined) throw new Error(`the cluster has no ${name}`);
    return found;
  }
}

function numbered(prefix: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${index + 1}`);
}

/** The root key goes as it came: nobody signs anything with it here. */
async function newClusterId(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "gv-root-"));
  try {
    const root = await createClusterRoot(folder);
    if (!root.ok) throw new Error(root.error);
    return root.value.id;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
