// Ask leases: a host's question to the voters whether a VM runs here by the record as a majority has it.

import {
  askLease,
  connectedOwners,
  type LeaseAnswer,
  type Mesh,
  messageOf,
  type Registers,
} from "../../mesh/index.ts";

/** For one voter: one that hangs must not take the time of the next. Several round trips between the voters. */
const VOTER_MS = 700;

/** The first that says anything. Rejects with why none does. */
export async function askAnyVoter(
  { mesh, registers }: { readonly mesh: Mesh; readonly registers: Pick<Registers, "directory"> },
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
