// Watchdog: a program of its own beside each VM that has a lease. It outlives the agent, and kills the VM when its lease is over: also while the
// agent hangs, is gone, or was suspended with the whole machine. `node watchdog.ts VM_FOLDER AGENT_PID AGENT_START`; says "ready" once it watches.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type NamedProcess, readJson, readLease, writeWatchdog } from "./lease-file.ts";
import {
  hasEnvironmentLine,
  listProcesses,
  type ProcessRow,
  readProcess,
  uptimeMs,
} from "./process-table.ts";

/** A machine that was suspended runs on for so long at most before the look: timers stand still meanwhile, the clock does not. */
const LOOK_MS = 100;
/** Between two kills of who does not go at once. */
const AGAIN_MS = 10;

/** Resolves once nothing of the VM runs, its lease is over or gone, and nobody can start it any more under this watch. */
async function watch(folder: string, agent: NamedProcess): Promise<void> {
  for (;;) {
    const leftMs = lookAtLease(folder);
    const members = leftMs > 0 ? [] : membersOf(folder);
    for (const { pid } of members ?? []) kill(pid);
    if (leftMs > 0) await delay(Math.min(LOOK_MS, leftMs));
    else if (members === null || members.length > 0) await delay(AGAIN_MS);
    // An agent that stood still as it was about to start it goes on with that.
    else if (existsSync(folder) && isRunning(agent)) await delay(LOOK_MS);
    else return;
  }
}

function isRunning({ pid, startTime }: NamedProcess): boolean {
  const row = readProcess(pid);
  return row !== null && !row.ended && row.startTime === startTime;
}

/** A lease or a clock that cannot be read is over. */
function lookAtLease(folder: string): number {
  try {
    return readLease(folder) - uptimeMs();
  } catch {
    return 0;
  }
}

/** Who the agent's driver takes for the VM: the session of its first process, and all that carry its mark. Null: we cannot look. */
function membersOf(folder: string): readonly ProcessRow[] | null {
  const marker = `GRAPEVINE_VM_FOLDER=${folder}`;
  try {
    const leader = leaderOf(folder);
    return listProcesses().filter(
      ({ pid, ended, session }) =>
        !ended && pid !== process.pid && (session === leader?.pid || hasEnvironmentLine(pid, marker)),
    );
  } catch {
    return null;
  }
}

/** As the agent wrote it down; null: not yet, or it is gone. */
function leaderOf(folder: string): ProcessRow | null {
  const { handle } = readJson(join(folder, "vm.json"));
  const { identity } = (handle ?? {}) as { readonly identity?: Readonly<Record<string, unknown>> };
  const { pid, startTime } = identity ?? {};
  if (typeof pid !== "number" || pid <= 1) return null;
  const row = readProcess(pid);
  return row !== null && row.startTime === startTime ? row : null;
}

/** Gone meanwhile, or not ours to kill: it is looked at again. */
function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    return;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , folder = "", pid, startTime] = process.argv;
  const own = readProcess(process.pid);
  if (folder === "" || own === null) process.exit(2);
  writeWatchdog(folder, { pid: own.pid, startTime: own.startTime });
  process.stdout.write("ready\n");
  await watch(folder, { pid: Number(pid), startTime: Number(startTime) });
}
