// CLI: runs the real command line as its users do, as a process.

import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../node/cli/main.ts", import.meta.url));

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningCli {
  readonly process: ChildProcess;
  readonly result: Promise<CliResult>;
  /** Resolves with what it wrote to stdout so far once that matches. Rejects when it ended first. */
  waitFor(pattern: RegExp): Promise<string>;
}

/** Starts `grapevine …args` with `env` added to the environment. `ownGroup`: a process group, as a terminal gives it. */
export function startCli(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  options: { readonly ownGroup?: boolean } = {},
): RunningCli {
  const detached = options.ownGroup === true;
  const child = spawn(process.execPath, [MAIN, ...args], { env: { ...process.env, ...env }, detached });
  let stdout = "";
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const watchers = new Set<() => void>();
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
    for (const watcher of watchers) watcher();
  });
  const result = new Promise<CliResult>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, stdout, stderr }));
  });
  const waitFor = (pattern: RegExp): Promise<string> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (pattern.test(stdout)) resolve(stdout);
      };
      watchers.add(look);
      look();
      void result.then(() => reject(new Error(`ended before ${pattern}:\n${stdout}\n${stderr}`)));
    });
  return { process: child, result, waitFor };
}

export function runCli(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CliResult> {
  return startCli(args, env).result;
}
