// Load beside: a load client in a process of its own, so that a proxy which runs in its tester's process has that for itself.

import { spawn } from "node:child_process";
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
  const child = spawn(process.execPath, [LOAD, JSON.stringify(options)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const closed = once(child, "close");
  const parts: Buffer[] = [];
  child.stdout.on("data", (bytes: Buffer) => parts.push(bytes));
  return {
    stop: async () => {
      child.stdin.end();
      const [code] = await closed;
      if (code !== 0) throw new Error(`the load client ended with ${code}`);
      return JSON.parse(Buffer.concat(parts).toString()) as readonly Sample[];
    },
    kill: () => child.kill("SIGKILL"),
  };
}
