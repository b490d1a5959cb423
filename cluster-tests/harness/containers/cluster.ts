// Container cluster: hosts (an agent with its gate) and proxies of one cluster, each in a container of its own, as docker/compose.yaml
// has them.

import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createClusterRoot } from "../../../mesh/index.ts";
import { firstVotersOf } from "../../../node/cli/name-voters.ts";
import type { AppView } from "../../../node/deploy/app-view.ts";
import type { CommandResult } from "../command.ts";
import type { Container } from "./container.ts";
import { ContainerRun, MOUNTED_FOLDER } from "./run.ts";

const MESH_PORT = 7946;
const HTTP_PORT = 8080;
const ROOT_FOLDER = "root";
/** Of each host's gate. */
const GATE_PORT = 7901;
const STATE_FOLDER = "/var/lib/grapevine";
/** What a container logs once it serves; a proxy that was killed serves before it is current. */
const READY = {
  host: [/"msg":"agent is ready"/, /"msg":"gate is there"/],
  proxy: [/"msg":"proxy serves"/],
} as const;

/** The image has no client for a socket of the file system but Node's. */
const READ_METRICS = `require("node:http").get({ socketPath: "${STATE_FOLDER}/agent.sock", path: "/metrics" }, (answer) => answer.pipe(process.stdout))`;

type Role = keyof typeof READY;

interface MemberConfig {
  readonly name: string;
  readonly [key: string]: unknown;
}

export interface ClusterSize {
  /** The first three are the voters, or the only one. */
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
    for (const pattern of READY[role]) await container.waitForLog(pattern);
  }

  /** Where clients on this machine reach a proxy. */
  url(proxy: string): Promise<string> {
    return this.member(proxy).url(HTTP_PORT);
  }

  /** `grapevine …args` in the container of a host. */
  grapevine(args: readonly string[], host = "host-1"): Promise<CommandResult> {
    return this.member(host).exec(["grapevine", ...args]);
  }

  /** Requests that the gates of all hosts sent to VMs, as the agents beside them know it. */
  async gateRequests(): Promise<number> {
    const hosts = [...this.#members].filter(([, { role }]) => role === "host");
    const texts = await Promise.all(
      hosts.map(([, { container }]) => container.exec(["node", "-e", READ_METRICS])),
    );
    const counts = texts.map(({ stdout }) =>
      Number(/^grapevine_gate_requests_total (\d+)$/m.exec(stdout)?.[1] ?? 0),
    );
    return counts.reduce((sum, count) => sum + count, 0);
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
    const names = { host: numbered("host", hosts), proxy: numbered("proxy", proxies) };
    const root = await createClusterRoot(join(this.run.folder, ROOT_FOLDER));
    if (!root.ok) throw new Error(root.error);
    // For the user in the container.
    chmodSync(root.value.keyFile, 0o644);
    const shared = {
      cluster: root.value.id,
      state_dir: STATE_FOLDER,
      listen: `0.0.0.0:${MESH_PORT}`,
      seeds: names.host.map((name) => `${name}:${MESH_PORT}`),
    };
    const all = [
      this.#startHosts(names.host, shared),
      ...names.proxy.map((name) => this.#startProxy({ name, ...shared, http: `0.0.0.0:${HTTP_PORT}` })),
    ];
    // All of them to their end: what is still starting could not be removed.
    for (const { status, reason } of (await Promise.allSettled(all)) as PromiseRejectedResult[])
      if (status === "rejected") throw reason;
  }

  async #startHosts(names: readonly string[], shared: Readonly<Record<string, unknown>>): Promise<void> {
    await Promise.all(names.map((name) => this.#startHost(name, shared)));
    const voters = firstVotersOf(names);
    const keyFile = `${MOUNTED_FOLDER}/${ROOT_FOLDER}/root.key`;
    const { code, stderr } = await this.grapevine(["voters", "init", ...voters, "--root-key", keyFile]);
    if (code !== 0) throw new Error(`voters init: exit code ${code}: ${stderr}`);
  }

  #startHost(name: string, shared: Readonly<Record<string, unknown>>): Promise<void> {
    const agent = this.#writeMember({ name, ...shared, gate: `${name}:${GATE_PORT}` });
    const gate = this.#write(`${name}-gate`, {
      host: name,
      cluster: shared["cluster"],
      state_dir: `${STATE_FOLDER}/gate`,
      listen: `0.0.0.0:${GATE_PORT}`,
      agent_socket: `${STATE_FOLDER}/gate.sock`,
    });
    return this.#start({ name, role: "host", args: ["host", agent, gate] });
  }

  #startProxy(config: MemberConfig): Promise<void> {
    const args = ["proxy", "--config", this.#writeMember(config)];
    return this.#start({ name: config.name, role: "proxy", args });
  }

  async #start({ name, role, args }: { name: string; role: Role; args: readonly string[] }): Promise<void> {
    const container = await this.run.start({ name, args });
    this.#members.set(name, { container, role });
    await this.ready(name);
  }

  #writeMember(config: MemberConfig): string {
    return this.#write(config.name, { ...config, advertise: [`${config.name}:${MESH_PORT}`] });
  }

  /** All our values are strings or arrays of strings: JSON's notation of them is TOML's too. Returns where containers find it. */
  #write(name: string, config: Readonly<Record<string, unknown>>): string {
    const lines = Object.entries(config).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`);
    writeFileSync(join(this.run.folder, `${name}.toml`), lines.join(""));
    return `${MOUNTED_FOLDER}/${name}.toml`;
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
