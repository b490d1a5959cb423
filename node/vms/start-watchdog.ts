// Start watchdog: the agent's end of a VM's watchdog: starts it, finds it again, and ends it.

import { spawn } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { forgetWatchdog, type NamedProcess, readWatchdog } from "./lease-file.ts";
import { isRunning, readProcess } from "./process-table.ts";

/** Between two looks at one that was killed: it has no more to do than to be scheduled once. */
const END_POLL_MS = 5;
const PROGRAM = fileURLToPath(new URL("watchdog.ts", import.meta.url));

/**
 * In a session of its own, so that what ends the agent does not end it. Resolves once it watches; rejects if it does not come to that, also on
 * abort: then it is gone again.
 */
export async function startWatchdog(folder: string, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  const own = readProcess(process.pid);
  const child = spawn(process.execPath, [PROGRAM, folder, `${process.pid}`, `${own?.startTime}`], {
    detached: true,
    env: {},
    stdio: ["ignore", "pipe", "ignore"],
  });
  child.unref();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  child.once("error", (error) => reject(new Error(`the watchdog cannot be started: ${error.message}`)));
  child.once("exit", (code, signal) =>
    reject(new Error(`the watchdog ended as it was started: ${signal ?? `code ${code}`}`)),
  );
  child.stdout.once("data", () => resolve());
  const end = () => {
    child.kill("SIGKILL");
    reject(new Error("the watchdog did not watch in time"));
  };
  signal?.addEventListener("abort", end, { once: true });
  try {
    await promise;
  } finally {
    signal?.removeEventListener("abort", end);
    child.stdout.destroy();
  }
}

export function isWatched(folder: string): boolean {
  return runningOf(folder) !== null;
}

/** Nothing of the VM runs any more. Returns the one that was killed, and may run for a moment more. */
export function endWatchdog(folder: string): NamedProcess | null {
  const running = runningOf(folder);
  // Who asks from now on whether one watches is told no, though this one has not quite ended.
  forgetWatchdog(folder);
  if (running === null) return null;
  try {
    process.kill(running.pid, "SIGKILL");
  } catch {
    // It ended meanwhile.
  }
  return running;
}

/** As `endWatchdog`, and resolves when it has ended. */
export async function untilWatchdogEnded(folder: string): Promise<void> {
  const running = endWatchdog(folder);
  while (running !== null && isRunning(running)) await delay(END_POLL_MS);
}

function runningOf(folder: string): NamedProcess | null {
  const known = readWatchdog(folder);
  return known !== null && isRunning(known) ? known : null;
}
