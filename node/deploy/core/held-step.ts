// Held step: whether the last step of a rollout holds the app's requests.

import {
  type Hold,
  isUnderWay,
  type Rollout,
  type RolloutStep,
  type RolloutStepReport,
} from "../../../mesh/index.ts";

interface Held {
  readonly rollout: Pick<Rollout, "step" | "history"> | null;
}

/** The last step of the rollout, if it is a hold: nothing lifted it yet. */
export function lastHold({ rollout }: Held): RolloutStep | RolloutStepReport | null {
  const last = rollout?.step ?? rollout?.history.at(-1);
  return last?.kind === "hold" ? last : null;
}

/** The rollout's last step holds the app's requests, whoever else does. */
export function isHeldByStep(record: Held): boolean {
  return lastHold(record) !== null;
}

/** A step of the rollout that is under way holds them, and none that lifts that has begun: a handoff ends and starts VMs between them. */
export function isWithinHold({ rollout }: { readonly rollout: Rollout | null }): boolean {
  if (!isUnderWay(rollout) || rollout === null) return false;
  const { step, history } = rollout;
  const kinds = [...history, ...(step === null ? [] : [step])].map(({ kind }) => kind);
  return kinds.findLast((kind) => kind === "hold" || kind === "serve" || kind === "flip") === "hold";
}

/** The rollout under way holds them, or would if no person did. What falls asleep, or is woken, is held because nothing of it serves. */
export function isHeldByRollout({
  hold,
  rollout,
}: {
  readonly hold?: Hold;
  readonly rollout: Rollout | null;
}): boolean {
  if (hold?.by !== "person") return hold?.by === "rollout";
  return isWithinHold({ rollout }) && rollout?.kind !== "sleep" && rollout?.kind !== "wake";
}
