// Lab cluster: hosts on a network of the run's own, each with its agent, its gate, perhaps a proxy and clients, so that whole hosts can be
// parted from each other. Commands reach the agents by their sockets in the file system. Needs root.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createClusterRoot } from "../../mesh/index.ts";
import type { LoadOptions } from "../../node/cli/demo/load-client.ts";
import { ProcessDriver } from "../../node/vms/process-driver.ts";
import { stopLeftoverVms } from "../../node/vms/vm-host.ts";
import { type CliResult, type RunningCli, startCli } from "./cli.ts";
import { getOverSocket } from "./get-over-socket.ts";
import { type LoadBeside, loadCommand, loadOf } from "./load-beside.ts";
import { NetLab } from "./net-lab.ts";
import { until } from "./observe.ts";
import { processesOf, runningVms } from "./running-vms.ts";

const MAIN = fileURLToPath(new URL("../../node/cli/main.ts", import.meta.url));
const AGENT_PORT = 7946;
const PROXY_PORT = 7947;
const GATE_PORT = 7901;
const HTTP_PORT = 80;

export interface LabHost {
  readonly name: string;
  /** The proxy that runs beside it. */
  readonly proxy?: string;
}

export class LabCluster {
  readonly lab: NetLab;
  readonly folder: string = mkdtempSync(join(tmpdir(), "gv-lab-"));
  readonly #hosts: readonly LabHost[];
  readonly #children: ChildProcess[] = [];
  readonly #members = new Map<string, ChildProcess>();
  /** When our process ends before `stop`. */
  readonly #abandon = (): void => {
    for (const child of this.#children) child.kill("SIGKILL");
    this.lab.dispose();
    rmSync(this.folder, { recursive: true, force: true });
  };

  /** Resolves when all are members and ready. `voters`: default: all hosts. `replaceAfter`: of the agents; default: theirs. */
  static async start(
    hosts: readonly LabHost[],
    options: { readonly voters?: readonly string[]; readonly replaceAfter?: string } = {},
  ): Promise<LabCluster> {
    const { replaceAfter, voters = hosts.map(({ name }) => name) } = options;
    const cluster = new LabCluster(hosts);
    try {
      await cluster.#start(voters, replaceAfter === undefined ? {} : { replace_after: replaceAfter });
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  private constructor(hosts: readonly LabHost[]) {
    this.#hosts = hosts;
    this.lab = NetLab.create(hosts.map(({ name }) => name));
    process.once("exit", this.#abandon);
  }

  async #start(voters: readonly string[], ofAgents: object): Promise<void> {
    const root = await createClusterRoot(this.folder);
    if (!root.ok) throw new Error(root.error);
    const seeds = this.#hosts.map(({ name }) => `${this.lab.address(name)}:${AGENT_PORT}`);
    const shared = { cluster: root.value.id, state_dir: ".", log_level: "error" };
    for (const host of this.#hosts) this.#startHost(host, { ...shared, seeds }, ofAgents);
    const names = this.#hosts.map(({ name }) => name);
    for (const name of names) await this.#untilFile(name, "agent.sock");
    const [first = ""] = voters;
    const init = ["voters", "init", ...voters, "--root-key", join(this.folder, "root.key")];
    const named = await this.run(init, first);
    if (named.code !== 0) throw new Error(named.stdout + named.stderr);
    for (const { name, proxy } of this.#hosts) {
      await this.#untilFile(`gate-of-${name}`, "gate.json");
      if (proxy !== undefined) await this.#untilFile(proxy, "proxy.json");
    }
  }

  #startHost(
    { name, proxy }: LabHost,
    { seeds, ...shared }: { readonly [key: string]: unknown },
    ofAgents: object,
  ): void {
    const address = this.lab.address(name);
    const listen = (port: number) => ({ listen: `${address}:${port}` });
    const member = (port: number) => ({ seeds, advertise: [`${address}:${port}`], ...listen(port) });
    const gate = `${address}:${GATE_PORT}`;
    const agent = { name, ...shared, ...member(AGENT_PORT), api: "127.0.0.1:7900", gate };
    this.#startMember(name, name, "agent", { ...agent, ...ofAgents });
    const agentSocket = join(this.folder, name, "gate.sock");
    this.#startMember(name, `gate-of-${name}`, "gate", {
      host: name,
      ...shared,
      ...listen(GATE_PORT),
      agent_socket: agentSocket,
    });
    if (proxy === undefined) return;
    const http = { http: `${address}:${HTTP_PORT}`, admin: "127.0.0.1:7902" };
    this.#startMember(name, proxy, "proxy", { name: proxy, ...shared, ...member(PROXY_PORT), ...http });
  }

  #startMember(host: string, name: string, role: string, config: object): void {
    const folder = join(this.folder, name);
    mkdirSync(folder);
    // JSON's notation of texts and lists of texts is TOML's too.
    const lines = Object.entries(config).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`);
    const file = join(folder, "config.toml");
    writeFileSync(file, lines.join(""));
    const child = this.#spawn(host, [MAIN, role, "--config", file, "--exit-with-parent"], "ignore");
    this.#members.set(name, child);
  }

  /** SIGKILL to that member alone: what it started runs on. */
  kill(member: string): void {
    this.#members.get(member)?.kill("SIGKILL");
  }

  #spawn(host: string, args: readonly string[], stdout: "ignore" | "pipe"): ChildProcess {
    const [command = "", ...rest] = [...this.lab.prefix(host), process.execPath, ...args];
    const child = spawn(command, rest, { stdio: ["pipe", stdout, "inherit"] });
    this.#children.push(child);
    return child;
  }

  #untilFile(member: string, name: string): Promise<true> {
    const file = join(this.folder, member, name);
    return until(`${name} of ${member}`, () => (existsSync(file) ? true : null));
  }

  /** A command that asks the agent of `host`. */
  start(args: readonly string[], host: string): RunningCli {
    return startCli(args, { GRAPEVINE_API: join(this.folder, host, "agent.sock") });
  }

  run(args: readonly string[], host: string): Promise<CliResult> {
    return this.start(args, host).result;
  }

  /** What the agent of `host` answers to a GET. */
  get<Value>(path: string, host: string): Promise<Value> {
    return getOverSocket<Value>(join(this.folder, host, "agent.sock"), path);
  }

  /** Clients on that host, through the proxy of it. */
  load(host: string, options: Pick<LoadOptions, "host" | "ratePerSecond">): Pick<LoadBeside, "stop"> {
    const targets = [`http://${this.lab.address(host)}:${HTTP_PORT}`];
    const all: LoadOptions = { ...options, targets, path: "/", connections: "both" };
    return loadOf(this.#spawn(host, loadCommand(all), "pipe"));
  }

  /** What the gate of `of` says to a request of whoever is on `from`, of that header: "421 1 ahead …". */
  async askGate(from: string, of: string, header: string): Promise<string> {
    const url = JSON.stringify(`http://${this.lab.address(of)}:${GATE_PORT}/`);
    const headers = JSON.stringify({ "grapevine-gate": header });
    const script = `fetch(${url}, { headers: ${headers} }).then(({ status, headers }) => console.log(status, headers.get("grapevine-gate")))`;
    const child = this.#spawn(from, ["--eval", script], "pipe");
    return ((await child.stdout?.toArray()) ?? []).join("").trim();
  }

  runningVms(): readonly string[] {
    return runningVms(this.folder);
  }

  /** Rejects when something of the cluster still runs afterwards. */
  async stop(): Promise<void> {
    const closed = this.#children.map((child) =>
      child.exitCode === null && child.signalCode === null ? once(child, "close") : undefined,
    );
    for (const child of this.#children) child.kill("SIGKILL");
    await Promise.all(closed);
    const driver = new ProcessDriver();
    for (const { name } of this.#hosts) await stopLeftoverVms(join(this.folder, name, "vms"), driver);
    const left = processesOf(this.folder);
    process.off("exit", this.#abandon);
    this.#abandon();
    if (left.length > 0) throw new Error(`still runs after the stop:\n${left.join("\n")}`);
  }
}
