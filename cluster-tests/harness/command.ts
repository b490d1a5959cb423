// Command: a program that a test runs as people do, with what it said and how it ended.

import { type ChildProcess, spawn } from "node:child_process";

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningCommand {
  /** Its standard input is open: `process.stdin`. */
  readonly process: ChildProcess;
  readonly result: Promise<CommandResult>;
  /** What it wrote to stdout so far. */
  printed(): string;
  /** Resolves with what it wrote to stdout so far once that matches. Rejects when it ended first. */
  waitFor(pattern: RegExp): Promise<string>;
}

export interface CommandOptions {
  /** Added to our own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** A process group, as a terminal gives it. */
  readonly ownGroup?: boolean;
  /** Its whole standard input; else that stays open. */
  readonly input?: string;
}

export function startCommand(
  file: string,
  args: readonly string[],
  options: CommandOptions = {},
): RunningCommand {
  const child = spawn(file, args, {
    env: { ...process.env, ...options.env },
    detached: options.ownGroup === true,
  });
  // It may end before it has read all: its exit code tells.
  child.stdin.on("error", () => undefined);
  if (options.input !== undefined) child.stdin.end(options.input);
  let stdout = "";
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const watchers = new Set<() => void>();
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
    for (const watcher of watchers) watcher();
  });
  const result = new Promise<CommandResult>((resolve, reject) => {
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
      result.then(() => reject(new Error(`ended before ${pattern}:\n${stdout}\n${stderr}`)), reject);
    });
  return { process: child, result, printed: () => stdout, waitFor };
}
