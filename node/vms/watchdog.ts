// Watchdog: a program of its own beside each VM that has a lease. It outlives the agent, and kills the VM when its lease is over: also while the
// agent hangs, is gone, or was suspended with the whole machine. `node watchdog.ts VM_FOLDER AGENT_PID AGENT_START`; says "ready" once it watches.

import { existsSync } from "node:fs";
import { constants, setPriority } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type NamedProcess, readLease, writeWatchdog } from "./lease-file.ts";
import { isRunning, readProcess, uptimeMs } from "./process-table.ts";
import { killMembers } from "./vm-members.ts";

/** A machine that was suspended runs on for so long at most before the look: timers stand still meanwhile, the clock does not. */
const LOOK_MS = 100;
/** Between two kills of who does not go at once. */
const AGAIN_MS = 10;

/** Resolves once nothing of the VM runs, its lease is over or gone, and nobody can start it any more under this watch. */
async function watch(folder: string, agent: NamedProcess): Promise<void> {
  for (;;) {
    const leftMs = lookAtLease(folder);
    const isAnyLeft = leftMs <= 0 && killMembers(folder);
    if (leftMs > 0) await delay(Math.min(LOOK_MS, leftMs));
    else if (isAnyLeft) await delay(AGAIN_MS);
    // An agent that stood still as it was about to start it goes on with that.
    else if (existsSync(folder) && isRunning(agent)) await delay(LOOK_MS);
    else return;
  }
}

/** A machine with too much to do looks first. Not ours to ask for without root: then it is one among all. */
function comeFirst(): void {
  try {
    setPriority(constants.priority.PRIORITY_HIGHEST);
  } catch {
    return;
  }
}

/** A lease or a clock that cannot be read is over. */
function lookAtLease(folder: string): number {
  try {
    return readLease(folder) - uptimeMs();
  } catch {
    return 0;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , folder = "", pid, startTime] = process.argv;
  const own = readProcess(process.pid);
  if (folder === "" || own === null) process.exit(2);
  comeFirst();
  writeWatchdog(folder, { pid: own.pid, startTime: own.startTime });
  process.stdout.write("ready\n");
  await watch(folder, { pid: Number(pid), startTime: Number(startTime) });
}
