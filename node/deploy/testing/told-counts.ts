// Told counts: what a proxy of a test says that it counted in the bake in force.

import { type AppRecord, type MemberName, noWaits, waitBucket } from "../../../mesh/index.ts";
import type { RolloutInput } from "../core/rollout.ts";

export interface ToldCounts {
  readonly proxy: MemberName;
  readonly startId: string;
  /** Requests and errors of the new release, and of the old one, all told. Each took 10 ms. */
  readonly fresh: readonly [number, number];
  readonly old: readonly [number, number];
}

/** More than any test asks for. */
export const GOOD_COUNTS = { fresh: [1_000, 0], old: [1_000, 0] } as const;

/** Null: no bake is in force. */
export function countsInput(
  { app, rollout }: AppRecord,
  { proxy, startId, fresh, old }: ToldCounts,
): RolloutInput | null {
  if (rollout?.step?.kind !== "bake" || rollout.to === null) return null;
  const counts = ([requests, errors]: readonly [number, number], release: number) => {
    const waits = noWaits();
    waits[waitBucket(10)] = requests;
    return { release, requests, errors, waits };
  };
  const releases = [counts(fresh, rollout.to), counts(old, rollout.from ?? 0)];
  const { number: step } = rollout.step;
  return { kind: "counts", proxy, startId, counts: { app, rollout: rollout.id, step, releases } };
}
