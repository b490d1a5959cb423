// Ask records: what a host asks the voters before it starts a VM of which no second one may run: what the records say as a majority has them.

import {
  type AppName,
  askLease,
  connectedOwners,
  type LeaseAnswer,
  messageOf,
  placedVms,
  type VmName,
} from "../../mesh/index.ts";
import { type ReadRecordsDeps, readRecords } from "../read-records.ts";
import type { LeasesDeps } from "./leases.ts";

/** For one voter: one that hangs must not take the time of the next. Several round trips between the voters. */
const VOTER_MS = 700;

export function recordAsks(deps: ReadRecordsDeps): {
  readonly isWanted: (vm: VmName, signal: AbortSignal) => Promise<boolean>;
  readonly askLease: LeasesDeps["ask"];
} {
  return {
    isWanted: (vm, signal) => isWantedHere(deps, vm, signal),
    askLease: (question, signal) => askAnyVoter(deps, question, signal),
  };
}

/** Requests wait for the start: one record is read first. All are only if it does not say yes: whatever else is true must be heard here. */
async function isWantedHere(deps: ReadRecordsDeps, vm: VmName, signal: AbortSignal): Promise<boolean> {
  const app = appOf(deps, vm);
  if (app !== undefined && (await isNamed(deps, { app, vm }, signal))) return true;
  await readRecords(deps, signal);
  const placed = deps.registers.apps.all().flatMap(({ record }) => placedVms(record));
  return placed.some((one) => one.vm === vm && one.host === deps.mesh.self.name && one.phase !== "prepared");
}

function appOf({ registers }: ReadRecordsDeps, vm: VmName): AppName | undefined {
  return registers.apps.all().find(({ record }) => record.vms.some((one) => one.vm === vm))?.record.app;
}

/** False: a majority does not have it run here, or nobody says. */
async function isNamed(
  deps: ReadRecordsDeps,
  question: Parameters<typeof askLease>[2],
  signal: AbortSignal,
): Promise<boolean> {
  try {
    return (await askAnyVoter(deps, question, signal)).isNamed;
  } catch {
    signal.throwIfAborted();
    return false;
  }
}

/** The first that says anything. Rejects with why none does. */
async function askAnyVoter(
  { mesh, registers }: ReadRecordsDeps,
  question: Parameters<typeof askLease>[2],
  signal: AbortSignal,
): Promise<LeaseAnswer> {
  const connected = connectedOwners(mesh.members());
  const voters = (registers.directory.list?.voters ?? []).filter(({ owner }) => connected.has(owner));
  const reasons: string[] = [];
  for (const { owner, name } of voters) {
    const patience = AbortSignal.any([signal, AbortSignal.timeout(VOTER_MS)]);
    try {
      return await askLease(mesh, owner, question, patience);
    } catch (error) {
      signal.throwIfAborted();
      reasons.push(`${name}: ${messageOf(error)}`);
    }
  }
  throw new Error(reasons.length === 0 ? "no voter can be reached" : reasons.join("; "));
}
