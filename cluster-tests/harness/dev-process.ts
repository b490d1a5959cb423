// Dev process: `grapevine dev` as a person runs it, in a process group and a temporary folder of its own.

import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DevClusterView } from "../../node/cli/dev/dev-cluster.ts";
import { type CliResult, type RunningCli, runCli, startCli } from "./cli.ts";
import { processesOf } from "./running-vms.ts";

/** A folder that stands for the machine's /tmp: what is left in it, or runs from it, was left by `dev`. */
export class DevMachine {
  readonly folder: string = mkdtempSync(join(tmpdir(), "gv-"));
  readonly #started: RunningCli[] = [];

  /** Resolves when the cluster is ready, with what `dev --json` printed. */
  async dev(args: readonly string[]): Promise<{ readonly dev: RunningCli; readonly view: DevClusterView }> {
    const dev = this.start(["dev", "--json", ...args]);
    const line = await dev.waitFor(/\n/);
    return { dev, view: JSON.parse(line) as DevClusterView };
  }

  start(args: readonly string[]): RunningCli {
    const started = startCli(args, this.env, { ownGroup: true });
    this.#started.push(started);
    return started;
  }

  /** A command beside it: finds the cluster by itself. */
  run(args: readonly string[]): Promise<CliResult> {
    return runCli(args, this.env);
  }

  /** Processes that run from here. */
  processes(): readonly string[] {
    return processesOf(this.folder);
  }

  /** State that a cluster left. The file by which commands find a cluster has a folder of its own, which stays. */
  leftFolders(): readonly string[] {
    return readdirSync(this.folder).filter((name) => /^grapevine-(?!dev-)/.test(name));
  }

  async remove(): Promise<void> {
    for (const { process: child } of this.#started) if (child.exitCode === null) child.kill("SIGTERM");
    await Promise.all(this.#started.map(({ result }) => result));
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Of whoever works at this machine. */
  get env(): Readonly<Record<string, string>> {
    return { TMPDIR: this.folder, GRAPEVINE_API: "" };
  }
}

/** What a terminal does at Ctrl-C. */
export function pressCtrlC({ process: child }: RunningCli): void {
  process.kill(-(child.pid ?? Number.NaN), "SIGINT");
}
