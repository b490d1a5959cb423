// Ask records: what a host asks the voters before it starts a VM of which no second one may run: what the records say as a majority has them.

import {
  askLease,
  connectedOwners,
  type LeaseAnswer,
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
  let last: OwnerId | null = null;
  const onAnswer = (voter: OwnerId) => {
    last = voter;
  };
  return {
    wantedEpoch: (vm, signal) => wantedHere(deps, vm, signal),
    askLease: (question, signal) => askAnyVoter(deps, question, { first: last, onAnswer, signal }),
  };
}

/** The epoch of the record that has it run here; null: none does. */
async function wantedHere(deps: ReadRecordsDeps, vm: VmName, signal: AbortSignal): Promise<number | null> {
  await readRecords(deps, signal);
  const { name } = deps.mesh.self;
  const found = deps.registers.apps
    .all()
    .find(({ record }) =>
      placedVms(record).some((one) => one.vm === vm && one.host === name && one.phase !== "prepared"),
    );
  return found?.epoch ?? null;
}

/** The first that says anything, who did so before at first: of those that hang each takes its time from the lease. Rejects with why none does. */
async function askAnyVoter(
  { mesh, registers }: ReadRecordsDeps,
  question: Parameters<typeof askLease>[2],
  {
    first,
    onAnswer,
    signal,
  }: {
    readonly first: OwnerId | null;
    readonly onAnswer: (voter: OwnerId) => void;
    readonly signal: AbortSignal;
  },
): Promise<LeaseAnswer> {
  const connected = connectedOwners(mesh.members());
  const all = (registers.directory.list?.voters ?? []).filter(({ owner }) => connected.has(owner));
  const voters = [
    ...all.filter(({ owner }) => owner === first),
    ...all.filter(({ owner }) => owner !== first),
  ];
  const reasons: string[] = [];
  for (const { owner, name } of voters) {
    const patience = AbortSignal.any([signal, AbortSignal.timeout(VOTER_MS)]);
    try {
      const answer = await askLease(mesh, owner, question, patience);
      onAnswer(owner);
      return answer;
    } catch (error) {
      signal.throwIfAborted();
      reasons.push(`${name}: ${messageOf(error)}`);
    }
  }
  throw new Error(reasons.length === 0 ? "no voter can be reached" : reasons.join("; "));
}
