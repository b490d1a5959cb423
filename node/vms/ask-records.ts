// Ask records: what a host asks the voters before it starts a VM of which no second one may run: what the records say as a majority has them.

import {
  type AppName,
  askLease,
  connectedVoters,
  type LeaseAnswer,
  type LeaseQuestion,
  messageOf,
  type OwnerId,
  placedVms,
  type VmName,
} from "../../mesh/index.ts";
import { type ReadRecordsDeps, readRecords } from "../read-records.ts";
import type { LeasesDeps } from "./leases.ts";

/** For one voter: one that hangs must not take the time of the next. Several round trips between the voters. */
const VOTER_MS = 700;

export function recordAsks(deps: ReadRecordsDeps): {
  readonly wantedEpoch: (vm: VmName, signal: AbortSignal) => Promise<number | null>;
  readonly askLease: LeasesDeps["ask"];
} {
  const silent = new Set<OwnerId>();
  const ask: LeasesDeps["ask"] = (question, signal) => askAnyVoter(deps, question, { silent, signal });
  return { wantedEpoch: (vm, signal) => wantedHere(deps, vm, ask, signal), askLease: ask };
}

/**
 * The epoch of the record that has it run here; null: none does. Requests wait for the start: its own record is read first, and all only if that
 * does not say yes: whatever else is true must be heard here.
 */
async function wantedHere(
  deps: ReadRecordsDeps,
  vm: VmName,
  ask: LeasesDeps["ask"],
  signal: AbortSignal,
): Promise<number | null> {
  const app = appOf(deps, vm);
  const named = app === undefined ? null : await namedEpoch({ vm, app }, ask, signal);
  if (named !== null) return named;
  await readRecords(deps, signal);
  const { name } = deps.mesh.self;
  const found = deps.registers.apps
    .all()
    .find(({ record }) =>
      placedVms(record).some((one) => one.vm === vm && one.host === name && one.phase !== "prepared"),
    );
  return found?.epoch ?? null;
}

function appOf({ registers }: ReadRecordsDeps, vm: VmName): AppName | undefined {
  return registers.apps.all().find(({ record }) => record.vms.some((one) => one.vm === vm))?.record.app;
}

/** Null: a majority does not have it run here, or nobody says. */
async function namedEpoch(
  question: LeaseQuestion,
  ask: LeasesDeps["ask"],
  signal: AbortSignal,
): Promise<number | null> {
  try {
    const { isNamed, epoch } = await ask(question, signal);
    return isNamed ? epoch : null;
  } catch {
    signal.throwIfAborted();
    return null;
  }
}

/**
 * The first that says anything. Those that said nothing when they were asked last come last, since each that hangs takes its time from the lease.
 * Rejects with why none does.
 */
async function askAnyVoter(
  { mesh, registers }: ReadRecordsDeps,
  question: LeaseQuestion,
  { silent, signal }: { readonly silent: Set<OwnerId>; readonly signal: AbortSignal },
): Promise<LeaseAnswer> {
  const all = connectedVoters(mesh, registers.directory);
  const voters = [
    ...all.filter(({ owner }) => !silent.has(owner)),
    ...all.filter(({ owner }) => silent.has(owner)),
  ];
  const reasons: string[] = [];
  for (const { owner, name } of voters) {
    const patience = AbortSignal.any([signal, AbortSignal.timeout(VOTER_MS)]);
    try {
      const answer = await askLease(mesh, owner, question, patience);
      silent.delete(owner);
      return answer;
    } catch (error) {
      silent.add(owner);
      signal.throwIfAborted();
      reasons.push(`${name}: ${messageOf(error)}`);
    }
  }
  throw new Error(reasons.length === 0 ? "no voter can be reached" : reasons.join("; "));
}
