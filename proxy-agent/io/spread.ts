// Spread: brings what this proxy wrote to the voters, before it counts on it that they know.

import {
  connectedVoters,
  type MemberName,
  type Mesh,
  messageOf,
  type Registers,
  type Voter,
} from "../../mesh/index.ts";

/** A voter of which something was wanted, and why that did not come about, for people. */
export interface Failure {
  readonly name: MemberName;
  readonly reason: string;
}

/** Does it with all of them at once; resolves to those where it failed. */
export async function failuresOf(
  voters: readonly Voter[],
  action: (voter: Voter) => Promise<void>,
): Promise<readonly Failure[]> {
  const done = voters.map(async (voter): Promise<readonly Failure[]> => {
    try {
      await action(voter);
      return [];
    } catch (error) {
      return [{ name: voter.name, reason: messageOf(error) }];
    }
  });
  return (await Promise.all(done)).flat();
}

/**
 * Resolves once the voter holds what we wrote before. Each sync opens with our digest, and by it the voter asks us for what it
 * lacks. Its question may cross with the answer to the first sync and our answer with the second; what it asked is answered
 * before the third. Rejects when it cannot be reached, or on abort.
 */
export async function spread(mesh: Mesh, { owner }: Voter, signal: AbortSignal): Promise<void> {
  for (let round = 0; round < 3; round += 1) await mesh.sync(owner, signal);
}

/** Null: one of them holds what we wrote, and the others hear it from that one if not from us. Else why none does. */
export async function spreadToVoters(
  { mesh, registers }: { readonly mesh: Mesh; readonly registers: Registers },
  signal: AbortSignal,
): Promise<string | null> {
  const voters = connectedVoters(mesh, registers.directory);
  if (voters.length === 0) return `none of the voters (${registers.voterNames.join(", ")}) can be reached`;
  const failures = await failuresOf(voters, (voter) => spread(mesh, voter, signal));
  return failures.length < voters.length ? null : describeFailures(failures);
}

export function describeFailures(failures: readonly Failure[]): string {
  return failures.map(({ name, reason }) => `${name}: ${reason}`).join("; ");
}
