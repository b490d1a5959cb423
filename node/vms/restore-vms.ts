// Restore VMs: what an earlier agent left in the state folder, and what of it still runs.

import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { isName, type VmEntry, type VmName, vmName } from "../../mesh/index.ts";
import { describeExit } from "./describe-exit.ts";
import { readEntryLines } from "./output-tail.ts";
import { untilWatchdogEnded } from "./start-watchdog.ts";
import type { VmDriver, VmHandle } from "./vm-driver.ts";
import type { LifeState } from "./vm-life.ts";
import { readVmRecord, type VmRecord } from "./vm-record.ts";

/** Of a VM whose own stop spec cannot be read. */
const DEFAULT_STOP = { stopSignal: "SIGTERM", timeoutMs: 10_000 };

export interface FoundVm {
  readonly vm: VmName;
  readonly folder: string;
  readonly record: VmRecord;
  /** As it is now, which is not as it was when the record was written. */
  readonly entry: VmEntry;
  readonly state: LifeState;
}

/** The VMs of a state folder that have a record. */
export async function findVms(folder: string, driver: VmDriver): Promise<readonly FoundVm[]> {
  const found: FoundVm[] = [];
  for (const { vm, folder: own } of await listVmFolders(folder)) {
    const read = readVmRecord(own);
    if (read.ok)
      found.push({ vm, folder: own, record: read.value, ...(await lookAt(read.value, own, driver)) });
  }
  return found;
}

/**
 * Removes folders without a record that can be read: a start or a removal that was broken off before anything ran or after
 * all had ended, or a disk that lost it. What should run there all the same is stopped: nobody can tell what it is.
 */
export async function removeBroken(
  folder: string,
  driver: VmDriver,
  signal: AbortSignal,
): Promise<readonly { readonly vm: VmName; readonly reason: string }[]> {
  const broken: { vm: VmName; reason: string }[] = [];
  for (const { vm, folder: own } of await listVmFolders(folder)) {
    const read = readVmRecord(own);
    if (read.ok) continue;
    const handle = await driver.find(vm, own);
    if (handle !== null) await driver.stop(handle, { ...DEFAULT_STOP, signal });
    await untilWatchdogEnded(own);
    await rm(own, { recursive: true, force: true });
    broken.push({ vm, reason: read.error });
  }
  return broken;
}

/** Stops every VM that runs from a state folder whose agent is gone, all at once. Returns those that ran. */
export async function stopLeftoverVms(folder: string, driver: VmDriver): Promise<readonly VmName[]> {
  const { signal } = new AbortController();
  const folders = await listVmFolders(folder);
  const stopped = await Promise.all(
    folders.map(async ({ vm, folder: own }) => {
      const read = readVmRecord(own);
      const handle = await runningHandle(read.ok ? read.value.handle : null, { vm, folder: own, driver });
      const stop = read.ok ? stopOptions(read.value) : DEFAULT_STOP;
      if (handle !== null) await driver.stop(handle, { ...stop, signal });
      await untilWatchdogEnded(own);
      return handle === null ? null : vm;
    }),
  );
  return stopped.filter((vm) => vm !== null);
}

function stopOptions(record: VmRecord): typeof DEFAULT_STOP {
  const { signal, timeoutMs } = record.release.spec.stop;
  return { stopSignal: signal, timeoutMs };
}

async function lookAt(
  record: VmRecord,
  folder: string,
  driver: VmDriver,
): Promise<Pick<FoundVm, "entry" | "state">> {
  const { entry } = record;
  if (record.handle !== null)
    return await lookAtRunning({ ...record, handle: record.handle }, folder, driver);
  if (record.starting !== null) return await lookForStarting(record, folder, driver);
  if (entry.state === "exited" || entry.state === "failed") {
    return { entry, state: { state: entry.state, isRetrying: false } };
  }
  return { entry: { ...entry, state: "preparing" }, state: { state: "idle" } };
}

async function lookAtRunning(
  record: VmRecord & { readonly handle: VmHandle },
  folder: string,
  driver: VmDriver,
): Promise<Pick<FoundVm, "entry" | "state">> {
  const { entry, handle } = record;
  const seen = await driver.inspect(handle);
  if (seen.running) return { entry: { ...entry, state: "running" }, state: { state: "running", handle } };
  // What it left behind has no place beside its successor.
  const { signal } = new AbortController();
  await driver.stop(handle, { stopSignal: "SIGKILL", timeoutMs: 0, signal });
  const { exit } = seen;
  const lastLines = await readEntryLines(join(folder, "output.log"));
  const ended = { ...entry, health: "unknown", exit, reason: describeExit(exit, null), lastLines } as const;
  return { entry: { ...ended, state: "exited" }, state: { state: "exited", isRetrying: false } };
}

/** Its agent died around the start: with a process it runs, without one it was never started. */
async function lookForStarting(
  record: VmRecord,
  folder: string,
  driver: VmDriver,
): Promise<Pick<FoundVm, "entry" | "state">> {
  const { entry, starting } = record;
  const handle = await driver.find(entry.vm, folder);
  if (handle === null && record.isCommand === true) return lostCommand(entry);
  if (handle === null || starting === null) {
    return { entry: { ...entry, state: "preparing" }, state: { state: "idle" } };
  }
  const running = { ...entry, ...starting, state: "running", health: "unknown", healthyAtMs: null } as const;
  const restarts = entry.restarts + (entry.startedAtMs === null ? 0 : 1);
  return {
    entry: { ...running, restarts, reason: null, lastLines: [] },
    state: { state: "running", handle },
  };
}

/** It may have run to its end before anybody looked: it is not started again, and nobody may take it for done. */
function lostCommand(entry: VmEntry): Pick<FoundVm, "entry" | "state"> {
  const reason = "its agent died as it was started: nobody knows whether it ran";
  const exit = { code: null, signal: null };
  return {
    entry: { ...entry, state: "exited", health: "unknown", exit, reason },
    state: { state: "exited", isRetrying: false },
  };
}

async function runningHandle(
  known: VmHandle | null,
  place: { readonly vm: VmName; readonly folder: string; readonly driver: VmDriver },
): Promise<VmHandle | null> {
  if (known !== null && (await place.driver.inspect(known)).running) return known;
  return await place.driver.find(place.vm, place.folder);
}

async function listVmFolders(
  folder: string,
): Promise<readonly { readonly vm: VmName; readonly folder: string }[]> {
  await mkdir(folder, { recursive: true });
  const names = (await readdir(folder)).filter(isName).sort();
  return names.map((name) => ({ vm: vmName(name), folder: join(folder, name) }));
}
