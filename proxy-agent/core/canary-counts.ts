// Canary counts: what became of the requests to each release of an app while a canary of it bakes, from the table with that step on.
// Only such apps are counted, each release in numbers and buckets that never grow, and what is told is all of it: a lost message does
// no harm. Pure.

import {
  type AppName,
  type CanaryCounts,
  noWaits,
  RELEASES_MAX,
  type ReleaseCounts,
  waitBucket,
} from "../../mesh/index.ts";
import type { Endpoint, RouteTable } from "./route-table.ts";

/** One try that is over. */
export interface EndedTry {
  readonly endpoint: Pick<Endpoint, "app" | "release">;
  /** Of the table by which its endpoint was picked. */
  readonly epoch: number;
  /** `left`: the client did, before the answer began. */
  readonly end: "good" | "error" | "left";
  /** From the sending to the head of the answer, or to the end without one, milliseconds. */
  readonly waitMs: number;
}

interface Baking {
  readonly rollout: string;
  readonly step: number;
  /** What was picked by an older table was sent before the weight was in force everywhere. */
  readonly sinceEpoch: number;
  readonly releases: Map<number, Growing>;
}

interface Growing {
  requests: number;
  errors: number;
  readonly waits: number[];
}

export class CanaryCounter {
  readonly #baking = new Map<AppName, Baking>();

  /** Of a step that it has not seen it counts anew; of one that is over it knows nothing more. */
  adopt({ apps }: RouteTable): void {
    for (const [app, { bake, epoch }] of apps) {
      const held = this.#baking.get(app);
      if (bake === null) this.#baking.delete(app);
      else if (held?.rollout !== bake.rollout || held.step !== bake.step)
        this.#baking.set(app, { ...bake, sinceEpoch: epoch, releases: new Map() });
    }
  }

  /** Nothing is to be counted. */
  get isIdle(): boolean {
    return this.#baking.size === 0;
  }

  count({ endpoint: { app, release }, epoch, end, waitMs }: EndedTry): void {
    const baking = this.#baking.get(app);
    if (baking === undefined || epoch < baking.sinceEpoch) return;
    const counts = baking.releases.get(release) ?? { requests: 0, errors: 0, waits: noWaits() };
    // A record has no more of them.
    if (!baking.releases.has(release) && baking.releases.size >= RELEASES_MAX) return;
    baking.releases.set(release, counts);
    if (end !== "left") counts.requests += 1;
    if (end === "error") counts.errors += 1;
    const bucket = waitBucket(waitMs);
    counts.waits[bucket] = (counts.waits[bucket] ?? 0) + 1;
  }

  counts(): readonly CanaryCounts[] {
    return [...this.#baking].map(([app, { rollout, step, releases }]) => ({
      app,
      rollout,
      step,
      releases: [...releases].map(
        ([release, { requests, errors, waits }]): ReleaseCounts => ({
          release,
          requests,
          errors,
          waits: [...waits],
        }),
      ),
    }));
  }
}
