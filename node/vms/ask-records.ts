// Ask records: what a host asks the voters before it starts a VM of which no second one may run: what the records say as a majority has them.

import {
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

async function isWantedHere(deps: ReadRecordsDeps, vm: VmName, signal: AbortSignal): Promise<boolean> {
  await readRecords(deps, signal);
  const placed = deps.registers.apps.all().flatMap(({ record }) => placedVms(record));
  return placed.some((one) => one.vm === vm && one.host === deps.mesh.self.name && one.phase !== "prepared");
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
