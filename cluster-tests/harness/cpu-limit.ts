// CPU limit: a process gets a share of one core, by the kernel's scheduler where control groups can be written, else by being
// stopped and let go on in turn, from here.

import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";

const ROOT = "/sys/fs/cgroup";
const PERIOD_US = 100_000;

export interface CpuLimit {
  /** For the report. */
  readonly kind: "cgroup v2" | "cgroup v1" | "duty cycle";
  /** Its processes get all again. */
  lift(): void;
}

/** `share`: of one core, 0 to 1, for each of them. Lifted at the latest when this process exits: groups outlive it. */
export function limitCpu(pids: readonly number[], share: number): CpuLimit {
  const { kind, lift } = setLimit(pids, share);
  // Before those listeners that kill the processes: one that is just ending cannot be moved.
  process.prependOnceListener("exit", lift);
  return {
    kind,
    lift: () => {
      process.off("exit", lift);
      lift();
    },
  };
}

function setLimit(pids: readonly number[], share: number): CpuLimit {
  const folders = pids.map((pid) => ({ pid, v1: `${ROOT}/cpu/gv-${pid}`, v2: `${ROOT}/gv-${pid}` }));
  const quotaUs = Math.round(share * PERIOD_US);
  if (isWritable(`${ROOT}/cgroup.subtree_control`) && controllers().includes("cpu")) {
    writeFileSync(`${ROOT}/cgroup.subtree_control`, "+cpu");
    for (const { pid, v2 } of folders) join(v2, pid, { "cpu.max": `${quotaUs} ${PERIOD_US}` });
    return {
      kind: "cgroup v2",
      lift: () =>
        leave(
          folders.map(({ v2 }) => v2),
          ROOT,
        ),
    };
  }
  if (isWritable(`${ROOT}/cpu/cgroup.procs`)) {
    const limits = { "cpu.cfs_period_us": String(PERIOD_US), "cpu.cfs_quota_us": String(quotaUs) };
    for (const { pid, v1 } of folders) join(v1, pid, limits);
    return {
      kind: "cgroup v1",
      lift: () =>
        leave(
          folders.map(({ v1 }) => v1),
          `${ROOT}/cpu`,
        ),
    };
  }
  return dutyCycle(pids, share);
}

function join(folder: string, pid: number, limits: Readonly<Record<string, string>>): void {
  mkdirSync(folder);
  for (const [file, value] of Object.entries(limits)) writeFileSync(`${folder}/${file}`, value);
  writeFileSync(`${folder}/cgroup.procs`, String(pid));
}

/** A group with processes cannot be removed: they go to the one above. */
function leave(folders: readonly string[], above: string): void {
  for (const folder of folders) {
    if (!existsSync(folder)) continue;
    const pids = readFileSync(`${folder}/cgroup.procs`, "utf8")
      .split("\n")
      .filter((line) => line !== "");
    for (const pid of pids) unlessGone(() => writeFileSync(`${above}/cgroup.procs`, pid));
    rmdirSync(folder);
  }
}

function dutyCycle(pids: readonly number[], share: number): CpuLimit {
  const periodMs = PERIOD_US / 1_000;
  const signal = (name: "SIGSTOP" | "SIGCONT"): void => {
    for (const pid of pids) unlessGone(() => process.kill(pid, name));
  };
  const timers = new Set<NodeJS.Timeout>();
  const begin = setInterval(() => {
    signal("SIGCONT");
    const timer = setTimeout(() => {
      timers.delete(timer);
      signal("SIGSTOP");
    }, share * periodMs);
    timers.add(timer);
  }, periodMs);
  return {
    kind: "duty cycle",
    lift: () => {
      clearInterval(begin);
      for (const timer of timers) clearTimeout(timer);
      signal("SIGCONT");
    },
  };
}

/** A member may have ended meanwhile. */
function unlessGone(act: () => void): void {
  try {
    act();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function controllers(): string {
  const file = `${ROOT}/cgroup.controllers`;
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}

function isWritable(file: string): boolean {
  return existsSync(file) && process.getuid?.() === 0;
}
