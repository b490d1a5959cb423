// Container: one member, or whatever else the image runs, from its start to its end.

import type { CommandResult, RunningCommand } from "../command.ts";
import { docker, startDocker } from "./docker.ts";
import { parseUsage, READ_USAGE, type Usage } from "./usage.ts";

export interface ContainerOptions {
  /** By it the other containers of the run reach this one. */
  readonly name: string;
  /** What follows the image: `["agent", "--config", "/etc/grapevine/host-1.toml"]`. */
  readonly args: readonly string[];
  /** More of `docker run`: `["--cpus", "0.5"]`. */
  readonly more?: readonly string[];
}

export interface Place {
  readonly id: string;
  readonly image: string;
  readonly network: string;
  readonly label: string;
  readonly mount: string;
}

export class Container {
  readonly name: string;
  /** As `docker` knows it. */
  readonly id: string;

  static async start(options: ContainerOptions, place: Place): Promise<Container> {
    await docker("run", "--detach", ...runArguments(options, place));
    return new Container(options.name, place.id);
  }

  /**
   * In the foreground: its standard input and output are those of the command that is returned, which ends with it. When that command
   * ends first, its standard input ends. No log is kept of it.
   */
  static attach(options: ContainerOptions, place: Place): RunningCommand {
    const args = ["run", "--interactive", "--log-driver", "none", ...runArguments(options, place)];
    return startDocker(args, { ownGroup: true });
  }

  private constructor(name: string, id: string) {
    this.name = name;
    this.id = id;
  }

  /** Resolves once its log since its last start matches, with that log. Rejects with the log when it ends before. */
  async waitForLog(pattern: RegExp): Promise<string> {
    const since = await docker("inspect", "--format", "{{.State.StartedAt}}", this.id);
    const log = startDocker(["logs", "--follow", "--since", since, this.id]);
    try {
      return await log.waitFor(pattern);
    } finally {
      log.process.kill();
    }
  }

  /** A command inside it, to its end. `input`: all of its standard input. */
  exec(args: readonly string[], options: { readonly input?: string } = {}): Promise<CommandResult> {
    return this.startExec(args, { input: "", ...options }).result;
  }

  /** A command inside it, whose standard input and output are streams meanwhile. */
  startExec(args: readonly string[], options: { readonly input?: string } = {}): RunningCommand {
    return startDocker(["exec", "--interactive", this.id, ...args], options);
  }

  /**
   * "http://172.18.0.2:8080"; another address after each start. By the run's own network, which this machine is part of: a published
   * port would lead through the engine's proxy, which engines before 23 may kill under load (moby/moby#44215, #45152).
   */
  async url(port: number): Promise<string> {
    const format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    return `http://${await docker("inspect", "--format", format, this.id)}:${port}`;
  }

  /** Start it again after it ended. */
  async startAgain(): Promise<void> {
    await docker("start", this.id);
  }

  /** SIGTERM, and SIGKILL after the grace. Resolves with its exit code: 137 is SIGKILL. */
  async stop({ graceSeconds }: { readonly graceSeconds: number }): Promise<number> {
    await docker("stop", "--time", String(graceSeconds), this.id);
    return Number(await docker("inspect", "--format", "{{.State.ExitCode}}", this.id));
  }

  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    await docker("kill", "--signal", signal, this.id);
  }

  /** Of all its processes together. */
  async usage(): Promise<Usage> {
    const { code, stdout, stderr } = await this.exec(READ_USAGE);
    if (code !== 0) throw new Error(`usage of ${this.name}: ${stderr}`);
    return parseUsage(stdout);
  }
}

function runArguments(
  { name, args, more = [] }: ContainerOptions,
  { id, image, network, label, mount }: Place,
): readonly string[] {
  // No health check of the image's: it costs a process every few seconds, and what is waited for is in the log.
  const fixed = ["--no-healthcheck", "--name", id, "--label", label, "--volume", mount];
  return [
    ...fixed,
    "--network",
    network,
    "--network-alias",
    name,
    "--hostname",
    name,
    ...more,
    image,
    ...args,
  ];
}
