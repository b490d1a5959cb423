// A simulated canary: requests at a rate, split by weights, answered by two releases, and the rule that looks at the counts twice a second.

import { noWaits, waitBucket } from "../../../mesh/index.ts";
import { type Counts, judgeCanary, type Verdict } from "../core/canary/rule.ts";

export interface SimulatedRelease {
  /** Share of its requests that fail. */
  readonly errors: number;
  /** One wait, milliseconds. */
  readonly wait: (random: () => number) => number;
}

export interface SimulatedCanary {
  readonly fresh: SimulatedRelease;
  readonly old: SimulatedRelease;
  readonly requestsPerSecond: number;
  readonly weights: readonly number[];
  readonly minRequests: number;
  /** Looks of each bake, two a second, before which it does not end, and at which it is given up. */
  readonly looksMin: number;
  readonly looksMax: number;
}

export interface SimulatedEnd {
  /** Of the last look: `pass` of all bakes, or where it ended. */
  readonly verdict: Verdict;
  /** Requests that the new release got, and that all got, from the first bake on. */
  readonly fresh: number;
  readonly all: number;
  /** Of the bake in which it ended. */
  readonly weight: number;
}

type Growing = { -readonly [Key in keyof Omit<Counts, "waits">]: number } & { readonly waits: number[] };

export function simulateCanary(canary: SimulatedCanary, random: () => number): SimulatedEnd {
  let [fresh, all, weight] = [0, 0, 0];
  let verdict: Verdict = { code: "pass" };
  for (weight of canary.weights) {
    const counts = { fresh: noCounts(), old: noCounts() };
    verdict = bake(canary, weight, counts, random);
    fresh += counts.fresh.requests;
    all += counts.fresh.requests + counts.old.requests;
    if (verdict.code !== "pass") break;
  }
  return { verdict, fresh, all, weight };
}

function bake(
  canary: SimulatedCanary,
  weight: number,
  counts: { readonly fresh: Growing; readonly old: Growing },
  random: () => number,
): Verdict {
  const input = {
    ...counts,
    names: { fresh: "v2", old: "v1" },
    minRequests: canary.minRequests,
    bakes: canary.weights.length,
  };
  let verdict = judgeCanary({ ...input, bakedMs: 0 });
  for (let look = 1; look <= canary.looksMax; look += 1) {
    for (let left = canary.requestsPerSecond / 2; left > 0; left -= 1) {
      const side = random() < weight / 100 ? "fresh" : "old";
      count(counts[side], canary[side], random);
    }
    verdict = judgeCanary({ ...input, bakedMs: look * 500 });
    if (verdict.code === "fail" || (verdict.code === "pass" && look >= canary.looksMin)) return verdict;
  }
  return verdict;
}

function count(counts: Growing, { errors, wait }: SimulatedRelease, random: () => number): void {
  counts.requests += 1;
  if (random() < errors) counts.errors += 1;
  const bucket = waitBucket(wait(random));
  counts.waits[bucket] = (counts.waits[bucket] ?? 0) + 1;
}

function noCounts(): Growing {
  return { requests: 0, errors: 0, waits: noWaits() };
}

/** Half are faster than `median`, and of those above it the slowest are so slow that there is no mean (Pareto, 1.2: p99 is 15 times the median). */
export function heavyTailed(median: number): SimulatedRelease["wait"] {
  return (random) => (median / 2 ** (1 / 1.2)) * (1 - random()) ** (-1 / 1.2);
}

/** As a fast path and a slow one, of which the slow one gets just about the share that the rule looks at. */
export function twoHumps(fast: number, slow: number): SimulatedRelease["wait"] {
  return (random) => (random() < 0.1 ? slow : fast) * (0.9 + 0.2 * random());
}
