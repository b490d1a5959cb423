// Process table: what Linux says about processes in /proc. Reads only; nothing here signals anyone.

import { readdirSync, readFileSync } from "node:fs";

// biome-ignore lint/style/noRestrictedImports: the front door loads all of mesh, and a watchdog runs beside each VM that has a lease
export { uptimeMs } from "../../mesh/io/uptime.ts";

/** One row of /proc, as far as VMs need it (proc_pid_stat(5)). */
export interface ProcessRow {
  readonly pid: number;
  /** Z (zombie) and X (dead) have ended, whatever else the row says. */
  readonly ended: boolean;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** Clock ticks since boot. With the pid and the boot id it names one process for all time. */
  readonly startTime: number;
  /** As waitpid(2) reports it; 0 while it runs, and when the kernel does not let us see it. */
  readonly waitStatus: number;
}

/** Fields after the command's name, counted from 0: state is field 3 of the manual. */
const FIELD = { state: 0, parent: 1, group: 2, session: 3, startTime: 19, waitStatus: 49 } as const;

/**
 * The row of one process, or null if there is none. Throws when we cannot look (`isBlind`), which says nothing of the process.
 * Synchronous: /proc answers from memory, in microseconds.
 */
export function readProcess(pid: number): ProcessRow | null {
  const text = readProcFile(`/proc/${pid}/stat`);
  return text === null ? null : parseStat(text);
}

/** That process, and no later one of its pid. Throws as `readProcess` does. */
export function isRunning({ pid, startTime }: Pick<ProcessRow, "pid" | "startTime">): boolean {
  const row = readProcess(pid);
  return row !== null && !row.ended && row.startTime === startTime;
}

/** Every process that we can see. */
export function listProcesses(): readonly ProcessRow[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.map((pid) => readProcess(Number(pid))).filter((row) => row !== null);
}

/** Does the environment that the process was started with hold `line`? False too when we may not read it. */
export function hasEnvironmentLine(pid: number, line: string): boolean {
  const text = readProcFile(`/proc/${pid}/environ`);
  return text?.split("\0").includes(line) ?? false;
}

/** New at each boot of the machine: a pid and a start time of another boot mean nothing. */
export function readBootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

/** The command's name is in parentheses and may itself hold spaces and parentheses: what counts is the last one. */
export function parseStat(text: string): ProcessRow | null {
  const nameEnd = text.lastIndexOf(")");
  const pid = Number.parseInt(text, 10);
  const fields = text.slice(nameEnd + 2).split(" ");
  const state = fields[FIELD.state];
  if (nameEnd < 0 || !Number.isInteger(pid) || fields.length <= FIELD.startTime || !state) return null;
  return {
    pid,
    ended: state === "Z" || state === "X" || state === "x",
    parent: Number(fields[FIELD.parent]),
    group: Number(fields[FIELD.group]),
    session: Number(fields[FIELD.session]),
    startTime: Number(fields[FIELD.startTime]),
    waitStatus: Number(fields[FIELD.waitStatus] ?? 0),
  };
}

/** Null when the process ended meanwhile (ENOENT, ESRCH) or is not ours to read (EACCES). Throws when we cannot look. */
function readProcFile(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (isBlind(error)) throw error;
    return null;
  }
}

/** We are out of file descriptors or memory: what /proc says cannot be known now. Ask again. */
export function isBlind(error: unknown): boolean {
  return ["EMFILE", "ENFILE", "ENOMEM"].includes((error as NodeJS.ErrnoException).code ?? "");
}
