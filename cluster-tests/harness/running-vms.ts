// Running VMs: what really runs, from /proc. A VM says who it is in its environment, and where in its working directory.

import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** Names of the VMs whose process runs (a zombie does not) in a folder below `stateDir`, sorted, each once. */
export function runningVms(stateDir: string): readonly string[] {
  return [...new Set(vmProcesses(stateDir).map(({ vm }) => vm))].sort();
}

/** Processes of VMs that run in a folder below `stateDir`. */
export function vmProcesses(stateDir: string): readonly { readonly pid: number; readonly vm: string }[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) => {
    const vm = vmOf(pid, stateDir);
    return vm === null ? [] : [{ pid: Number(pid), vm }];
  });
}

/** Command lines of all processes (zombies are none) that run in a folder below `stateDir` or name one. */
export function processesOf(stateDir: string): readonly string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
        const isOurs = readlinkSync(`/proc/${pid}/cwd`).startsWith(stateDir) || command.includes(stateDir);
        return isOurs && !isZombie(pid) ? [`${pid} ${command}`] : [];
      } catch {
        // It ended while we looked.
        return [];
      }
    });
}

function vmOf(pid: string, stateDir: string): string | null {
  try {
    if (!readlinkSync(`/proc/${pid}/cwd`).startsWith(stateDir)) return null;
    const environment = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
    const marker = environment.find((variable) => variable.startsWith("GRAPEVINE_VM="));
    return marker === undefined || isZombie(pid) ? null : marker.slice("GRAPEVINE_VM=".length);
  } catch {
    // It ended while we looked.
    return null;
  }
}

function isZombie(pid: string): boolean {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z");
}
