// Desk tasks: what a proposer does next, as the coordinator and the shell would: the operation for its task, or the next of those
// that settle a list of voters.

import type { RegisterName } from "../../register/certificate.ts";
import type { Operation } from "../../register/proposer-face.ts";
import { nextStep, type SettleStep, VOTERS_REGISTER } from "../../register/settle.ts";
import { changeVoters, type VoterList } from "../../register/voter-list.ts";
import type { Desk, DeskRules } from "./desk.ts";
import { listText } from "./list-text.ts";
import { APP_REGISTER, type Task } from "./scenario.ts";

export interface Planned {
  readonly register: RegisterName;
  readonly operation: Operation;
}

/** The operation that it would begin now. */
export function plannedOperation(desk: Desk, rules: DeskRules): Planned | null {
  const task = rules.tasks[desk.done];
  if (desk.running !== null || task === undefined) return null;
  if (task.kind === "settle") return settlingOperation(desk, rules);
  if (task.kind === "change") return changeOperation(desk, task, rules);
  const register = APP_REGISTER;
  if (task.kind === "read" || task.kind === "recommit") return { register, operation: { kind: task.kind } };
  const record = encode(`${desk.letter}${desk.done + 1}${task.kind === "delete" ? " deleted" : ""}`);
  if (task.kind === "seed") return { register, operation: { kind: "seed", epoch: task.epoch, record } };
  const expectedEpoch = (desk.known.get(register) ?? 0) + (task.kind === "guess" ? 1 : 0);
  return { register, operation: { kind: "swap", expectedEpoch, record } };
}

function changeOperation(
  desk: Desk,
  { change }: Extract<Task, { kind: "change" }>,
  { broken }: DeskRules,
): Planned | null {
  const next = changeVoters(desk.list, change, { needsSettled: !broken.has("early-second-voter-change") });
  return next.ok ? swapVoters(desk, next.value) : null;
}

function swapVoters(desk: Desk, list: VoterList): Planned {
  const expectedEpoch = desk.known.get(VOTERS_REGISTER) ?? 0;
  return {
    register: VOTERS_REGISTER,
    // Two that propose one list do not propose one record.
    operation: {
      kind: "swap",
      expectedEpoch,
      record: encode(`${listText(list)} ${desk.letter}${desk.round}`),
    },
  };
}

/** What comes next in settling; null: it is not at it. */
function settlingStep({ settling }: Desk, { broken }: DeskRules): SettleStep | null {
  if (settling === null) return null;
  const { list, shown, registers } = settling;
  if (broken.has("settle-unasked") && shown.size > 0)
    return nextStep({
      ...settling,
      list: { ...list, voters: list.voters.filter(({ id }) => shown.has(id)) },
    });
  return nextStep(broken.has("settle-uncommitted") ? { ...settling, committed: registers } : settling);
}

function settlingOperation(desk: Desk, rules: DeskRules): Planned | null {
  const step = settlingStep(desk, rules);
  if (step === null) return null;
  if (step.kind === "mark") return swapVoters(desk, { ...desk.list, isSettled: true });
  const [register] = step.kind === "recommit" ? step.registers.toSorted() : [];
  return register === undefined ? null : { register, operation: { kind: "recommit" } };
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
