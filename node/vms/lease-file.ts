// Lease file: until when a VM may run, on disk beside it: written by the agent, read by the VM's watchdog, and by an agent that starts anew.
// Used by the watchdog: imports nothing that is large.

import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readBootId } from "./process-table.ts";

const LEASE_FILE = "lease.json";
const WATCHDOG_FILE = "watchdog.json";

/** A process for all time: see `ProcessRow`. */
export interface NamedProcess {
  readonly pid: number;
  readonly startTime: number;
}

/** By `uptimeMs` of this boot. Not synced to disk: what a power cut takes, it took from the VM too. */
export function writeLease(folder: string, untilMs: number): void {
  write(join(folder, LEASE_FILE), { format: 1, bootId: readBootId(), untilMs });
}

/** 0: there is none, or it is of another boot, or cannot be read. */
export function readLease(folder: string): number {
  const { untilMs } = ofThisBoot(join(folder, LEASE_FILE));
  return typeof untilMs === "number" ? untilMs : 0;
}

export function writeWatchdog(folder: string, { pid, startTime }: NamedProcess): void {
  write(join(folder, WATCHDOG_FILE), { format: 1, bootId: readBootId(), pid, startTime });
}

export function forgetWatchdog(folder: string): void {
  rmSync(join(folder, WATCHDOG_FILE), { force: true });
}

/** Null: none was started here since the machine was. */
export function readWatchdog(folder: string): NamedProcess | null {
  const { pid, startTime } = ofThisBoot(join(folder, WATCHDOG_FILE));
  return typeof pid === "number" && typeof startTime === "number" && pid > 1 ? { pid, startTime } : null;
}

function write(file: string, value: object): void {
  writeFileSync(`${file}.new`, JSON.stringify(value), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

function ofThisBoot(file: string): Readonly<Record<string, unknown>> {
  const read = readJson(file);
  return read["bootId"] === readBootId() ? read : {};
}

/** Empty for what is not there, or is no object. */
export function readJson(file: string): Readonly<Record<string, unknown>> {
  try {
    const read: unknown = JSON.parse(readFileSync(file, "utf8"));
    return typeof read === "object" && read !== null ? (read as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
