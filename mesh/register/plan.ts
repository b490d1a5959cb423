// Plan: what an operation makes of the value that a majority showed: the value to propose, and what its commit will mean.

import { type Ballot, isSameBallot } from "./ballot.ts";
import type { Operation } from "./proposer-face.ts";
import { createValue, type RegisterValue } from "./value.ts";

/** What it means when the planned value is committed. */
export type Ending = "committed" | "conflict" | "read" | "unknown";

export interface Plan {
  /** Null: there is nothing, and nothing to propose. */
  readonly value: RegisterValue | null;
  readonly ending: Ending;
  /** It carries the operation's own record. */
  readonly isOurs: boolean;
}

interface Shown {
  readonly current: RegisterValue | null;
  /** Of this attempt. */
  readonly ballot: Ballot;
  /** The origin of what this operation asked anybody to accept before; null: nothing yet. */
  readonly proposed: Ballot | null;
}

export function plan(operation: Operation, shown: Shown): Plan {
  const { current, proposed } = shown;
  if (operation.kind === "read" || operation.kind === "recommit") {
    return { value: current, ending: "read", isOurs: false };
  }
  if (current !== null && proposed !== null && isSameBallot(current.origin, proposed)) {
    return { value: current, ending: "committed", isOurs: true };
  }
  const epoch = operation.kind === "seed" ? operation.epoch : operation.expectedEpoch + 1;
  if (isExpected(operation, current)) {
    const origin = proposed ?? shown.ballot;
    return {
      value: createValue({ epoch, origin, record: operation.record }),
      ending: "committed",
      isOurs: true,
    };
  }
  // Somebody may have built on ours: of a line that went on past it nobody tells any more who made its parts.
  const isPast = proposed !== null && (current?.epoch ?? 0) > epoch;
  return { value: current, ending: isPast ? "unknown" : "conflict", isOurs: false };
}

function isExpected(
  operation: Extract<Operation, { record: unknown }>,
  current: RegisterValue | null,
): boolean {
  if (operation.kind === "seed") return current === null;
  return (current?.epoch ?? 0) === operation.expectedEpoch;
}
