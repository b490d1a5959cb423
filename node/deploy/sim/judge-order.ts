// Judge order: within a rollout the record only goes on. Whatever a driver believed that stood still for a while, nothing comes back.

import assert from "node:assert/strict";
import type { AppRecord } from "../../../mesh/index.ts";

/** Within a rollout steps only go on, and one that is over is over. */
export function judgeOrder(before: AppRecord | null, after: AppRecord): void {
  const [old, next] = [before?.rollout, after.rollout];
  if (old == null || next == null || old.id !== next.id) return;
  assert.ok(
    stepNumber(old) <= stepNumber(next),
    `step ${stepNumber(next)} is committed after step ${stepNumber(old)}`,
  );
  assert.ok(old.state === "running" || next.state !== "running", `${old.id} was over, and runs again`);
}

function stepNumber({ step, history }: NonNullable<AppRecord["rollout"]>): number {
  return step?.number ?? history.at(-1)?.number ?? 0;
}
