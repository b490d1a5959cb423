// VM members: all processes of a VM that has a lease, for who kills them when that is over: its watchdog, or the agent if it gets none.
// Used by the watchdog: imports nothing that is large.

import { join } from "node:path";
import { readJson } from "./lease-file.ts";
import { hasEnvironmentLine, listProcesses, type ProcessRow, readProcess } from "./process-table.ts";

/** False once there was none. True as well when we cannot look: it is to be called again. */
export function killMembers(folder: string): boolean {
  const members = membersOf(folder);
  for (const { pid } of members ?? []) kill(pid);
  return members === null || members.length > 0;
}

/**
 * Who the agent's driver takes for the VM: the session of its first process, and all that carry its mark; and their children, whatever those made
 * of their session and their environment. Null: we cannot look.
 */
function membersOf(folder: string): readonly ProcessRow[] | null {
  const marker = `GRAPEVINE_VM_FOLDER=${folder}`;
  try {
    const leader = leaderOf(folder);
    const all = listProcesses().filter(({ pid, ended }) => !ended && pid !== process.pid);
    const isOwn = ({ pid, session }: ProcessRow) =>
      session === leader?.pid || hasEnvironmentLine(pid, marker);
    return withChildren(all.filter(isOwn), all);
  } catch {
    return null;
  }
}

function withChildren(members: readonly ProcessRow[], all: readonly ProcessRow[]): readonly ProcessRow[] {
  const known = new Map(members.map((row) => [row.pid, row]));
  for (const { pid } of known.values())
    for (const row of all) if (row.parent === pid && !known.has(row.pid)) known.set(row.pid, row);
  return [...known.values()];
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
