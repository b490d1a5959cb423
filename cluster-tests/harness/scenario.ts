// Scenario: a dev cluster, an app folder and a load client for one test file, all gone when the test is.

import { LoadClient, type LoadOptions, type Sample } from "../../node/cli/demo/load-client.ts";
import { DevCluster, type DevClusterView } from "../../node/cli/dev/dev-cluster.ts";
import { AppFolder, type AppSettings } from "./app-folder.ts";
import { type CliResult, type RunningCli, runCli, startCli } from "./cli.ts";
import { type LoadBeside, loadBeside } from "./load-beside.ts";
import { processesOf, runningVms } from "./running-vms.ts";

/** `through`: names of proxies. */
export interface Traffic {
  readonly ratePerSecond?: number;
  readonly through?: readonly string[];
  readonly path?: string;
  readonly app?: string;
  readonly timeoutMs?: number;
}

export class Scenario {
  readonly cluster: DevCluster;
  readonly #folders: AppFolder[] = [];
  readonly #clients: LoadClient[] = [];
  readonly #besides: LoadBeside[] = [];
  readonly #commands: RunningCli[] = [];

  static async start(
    options: {
      hosts?: number;
      proxies?: number;
      replaceAfter?: string;
      isStaggered?: boolean;
      isArmed?: boolean;
    } = {},
  ): Promise<Scenario> {
    const { hosts = 3, proxies = 2, replaceAfter, isStaggered = false, isArmed = false } = options;
    const others = { isStaggered, isArmed, ...(replaceAfter === undefined ? {} : { replaceAfter }) };
    return new Scenario(await DevCluster.start({ hosts, proxies, stateDir: null, ...others }));
  }

  private constructor(cluster: DevCluster) {
    this.cluster = cluster;
  }

  get view(): DevClusterView {
    return this.cluster.view();
  }

  /** API of an agent; the first three are the voters. */
  api(host = "host-1"): string {
    return found(this.view.agents, host).api;
  }

  proxy(name: string): { readonly http: string; readonly admin: string; readonly pid: number } {
    return found(this.view.proxies, name);
  }

  pid(member: string): number {
    return found<{ name: string; pid: number }>(
      [...this.view.agents, ...this.view.gates, ...this.view.proxies],
      member,
    ).pid;
  }

  app(settings: AppSettings = {}): AppFolder {
    const folder = new AppFolder(settings);
    this.#folders.push(folder);
    return folder;
  }

  run(args: readonly string[], host = "host-1"): Promise<CliResult> {
    return runCli(args, { GRAPEVINE_API: this.api(host) });
  }

  start(args: readonly string[], host = "host-1"): RunningCli {
    const command = startCli(args, { GRAPEVINE_API: this.api(host) });
    this.#commands.push(command);
    return command;
  }

  /** Steady traffic to the app (default: web) through the proxies named, all of them by default: so little that a machine with too much to do still serves it. */
  load(options: Traffic = {}): LoadClient {
    const client = new LoadClient(this.#loadOptions(options));
    this.#clients.push(client);
    return client;
  }

  /** The same from a process of its own: it measures what the cluster takes, and not what this test does besides. */
  loadBeside(options: Traffic = {}): LoadBeside {
    const beside = loadBeside(this.#loadOptions(options));
    this.#besides.push(beside);
    return beside;
  }

  #loadOptions({ through, app = "web", path = "/", ratePerSecond = 100, ...rest }: Traffic): LoadOptions {
    const names = through ?? this.view.proxies.map((proxy) => proxy.name);
    const targets = names.map((name) => this.proxy(name).http);
    return { targets, host: `${app}.localhost`, path, ratePerSecond, connections: "both", ...rest };
  }

  /** VMs of this cluster whose process runs, by name, from the machine's process table: the record is not asked. */
  runningVms(): readonly string[] {
    return runningVms(this.cluster.stateDir);
  }

  /** Rejects when something of the cluster still runs afterwards. */
  async stop(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.stop()));
    for (const beside of this.#besides) beside.kill();
    // Of a test that failed: it would follow a cluster that is gone.
    for (const { process: command } of this.#commands) if (command.exitCode === null) command.kill("SIGKILL");
    await this.cluster.stop();
    for (const folder of this.#folders) folder.remove();
    const left = processesOf(this.cluster.stateDir);
    if (left.length > 0) throw new Error(`still runs after the stop:\n${left.join("\n")}`);
  }
}

/** What became of the load, as an assertion should show it: all facts of the first few that failed. */
export interface Failures {
  /** No load, no failure: that proves nothing. */
  readonly isEmpty: boolean;
  readonly count: number;
  readonly first: readonly Sample[];
}

/** Failed is what is not a whole 200: the test's app gives no other answer. */
export function failures(samples: readonly Sample[]): Failures {
  const failed = samples.filter(({ status }) => status !== 200);
  return { isEmpty: samples.length === 0, count: failed.length, first: failed.slice(0, 5) };
}

export const NO_FAILURES: Failures = { isEmpty: false, count: 0, first: [] };

function found<Member extends { readonly name: string }>(members: readonly Member[], name: string): Member {
  const member = members.find((candidate) => candidate.name === name);
  if (member === undefined) throw new Error(`the cluster has no ${name}`);
  return member;
}
