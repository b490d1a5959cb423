// Load beside: a load client in a process of its own, so that what its tester does meanwhile delays no request.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { LoadOptions, Sample } from "../../node/cli/demo/load-client.ts";

const LOAD = fileURLToPath(new URL("load-process.ts", import.meta.url));

export interface LoadBeside {
  /** Sends nothing more; what became of all. Rejects when the process did not come to its end. */
  stop(): Promise<readonly Sample[]>;
  /** Of a test that failed: nobody asks what became of it. */
  kill(): void;
}

/** Sends from now on. */
export function loadBeside(options: LoadOptions): LoadBeside {
  const command = loadCommand(options);
  return loadOf(spawn(process.execPath, command, { stdio: ["pipe", "pipe", "inherit"] }));
}

/** Arguments of the Node that runs it. */
export function loadCommand(options: LoadOptions): string[] {
  return [LOAD, JSON.stringify(options)];
}

/** Of a process that runs `loadCommand`, wherever it does. */
export function loadOf(child: ChildProcess): LoadBeside {
  const closed = once(child, "close");
  const parts: Buffer[] = [];
  child.stdout?.on("data", (bytes: Buffer) => parts.push(bytes));
  return {
    stop: async () => {
      child.stdin?.end();
      const [code] = await closed;
      if (code !== 0) throw new Error(`the load client ended with ${code}`);
      return JSON.parse(Buffer.concat(parts).toString()) as readonly Sample[];
    },
    kill: () => child.kill("SIGKILL"),
  };
}
