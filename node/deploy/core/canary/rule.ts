// Rule: what the proxies' counts of two releases say of the new one. A pure function of counts, asked again and again while a canary
// bakes: `fail` is proof (`proof.ts`), `pass` is enough requests without any sign, `unsure` is a sign that is no proof: it goes on.

import {
  type ReleaseCounts,
  WAIT_BOUNDS_MS,
  WAIT_FACTOR,
  WAIT_FACTOR_BUCKETS,
} from "../../../../mesh/index.ts";
import { isProvenWorse, shareOf, type Tally } from "./proof.ts";

export type Counts = Omit<ReleaseCounts, "release">;

/**
 * - `fail`: the new release is worse; `saw`: so many of its requests show it. `unsure`: it looks worse, which may be chance. Both say how in
 *   words, with figures.
 * - `too-little`: so many requests of the new release, or of the old one, are missing.
 */
export type Verdict =
  | { readonly code: "pass" }
  | { readonly code: "fail"; readonly reason: string; readonly saw: number }
  | { readonly code: "unsure"; readonly reason: string }
  | { readonly code: "too-little"; readonly missing: number; readonly of: "fresh" | "old" };

export interface RuleInput {
  readonly fresh: Counts;
  readonly old: Counts;
  /** "v2", "v1". */
  readonly names: { readonly fresh: string; readonly old: string };
  readonly minRequests: number;
  /** For so long it bakes already. */
  readonly bakedMs: number;
  /** Bakes of the whole canary: they share `ALPHA`. */
  readonly bakes: number;
}

/** The chance that a good release is sent back by a whole canary: one in a hundred that are no worse than is tolerated. */
export const ALPHA = 0.01;
/** Half a percentage point of errors more is nobody's business. */
const ERRORS_TOLERANCE = 0.005;
/** Of the old release's requests a tenth is slower than this; of the new one's, so many percentage points more may be, times `WAIT_FACTOR`. */
const SLOW_SHARE = 0.1;
const SLOW_TOLERANCE = 0.05;
/**
 * Waits come in bursts: of a machine that halts for a second every request of that second is slow, which is one event and not a hundred.
 * So many a second count for a proof at most, as if only these had been looked at; a bet on fewer is won later, and never more easily.
 * A scenario on a starved machine sent a good release back within 1.2 s without it.
 */
const WAITS_PER_SECOND = 5;
/** Errors and waits. */
const KINDS = 2;

interface Comparison {
  readonly fresh: Tally;
  readonly old: Tally;
  readonly tolerance: number;
  /** Of the new release: more are scaled down to so many. */
  readonly countsMax: number;
  readonly words: string;
}

export function judgeCanary(input: RuleInput): Verdict {
  const comparisons = [compareErrors(input), compareWaits(input)];
  const alpha = ALPHA / (KINDS * Math.max(1, input.bakes));
  const proven = comparisons.find(({ fresh, old, tolerance, countsMax }) =>
    isProvenWorse({ fresh: atMost(fresh, countsMax), old, tolerance, alpha }),
  );
  if (proven !== undefined) return { code: "fail", reason: proven.words, saw: proven.fresh.bad };
  const { fresh, old, minRequests } = input;
  const [ofFresh, ofOld] = [minRequests - fresh.requests, minRequests - old.requests];
  if (ofFresh > 0) return { code: "too-little", missing: ofFresh, of: "fresh" };
  if (ofOld > 0) return { code: "too-little", missing: ofOld, of: "old" };
  const sign = comparisons.find((one) => shareOf(one.fresh) > shareOf(one.old) + one.tolerance);
  return sign === undefined ? { code: "pass" } : { code: "unsure", reason: sign.words };
}

function compareErrors({ fresh, old, names }: RuleInput): Comparison {
  const told = (name: string, { errors, requests }: Counts) =>
    `${percent(errors, requests)} of ${requests} requests of ${name}`;
  return {
    fresh: { bad: fresh.errors, all: fresh.requests },
    old: { bad: old.errors, all: old.requests },
    tolerance: ERRORS_TOLERANCE,
    countsMax: Number.POSITIVE_INFINITY,
    words: `${told(names.fresh, fresh)} failed, and ${told(names.old, old)}`,
  };
}

/** Where the old release's slowest tenth begins, and `WAIT_FACTOR` times that: how many of the new one's are slower. */
function compareWaits({ fresh, old, names, bakedMs }: RuleInput): Comparison {
  const all = sum(old.waits);
  const place = slowPlace(old.waits);
  const later = Math.min(WAIT_BOUNDS_MS.length, place + WAIT_FACTOR_BUCKETS);
  const ofFresh: Tally = { bad: sum(fresh.waits.slice(later + 1)), all: sum(fresh.waits) };
  const ofOld: Tally = { bad: sum(old.waits.slice(place + 1)), all };
  const slow = `${percent(ofFresh.bad, ofFresh.all)} of ${ofFresh.all} requests of ${names.fresh}`;
  const waited = `waited longer than ${milliseconds(later)}`;
  const usual = `${percent(ofOld.bad, ofOld.all)} of ${ofOld.all} of ${names.old} longer than ${milliseconds(place)}`;
  const words = `${slow} ${waited}, ${WAIT_FACTOR} times what ${usual} did`;
  const countsMax = (WAITS_PER_SECOND * bakedMs) / 1_000;
  return { fresh: ofFresh, old: ofOld, tolerance: SLOW_TOLERANCE, countsMax, words };
}

function atMost({ bad, all }: Tally, max: number): Tally {
  return all <= max ? { bad, all } : { bad: (bad * max) / all, all: max };
}

/** The bucket up to whose end at least nine tenths are. */
function slowPlace(waits: readonly number[]): number {
  const enough = (1 - SLOW_SHARE) * sum(waits);
  let seen = 0;
  for (const [place, count] of waits.entries()) {
    seen += count;
    if (seen >= enough) return place;
  }
  return waits.length - 1;
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}

function percent(part: number, all: number): string {
  if (all === 0) return "none";
  const share = (100 * part) / all;
  return `${share.toFixed(share > 0 && share < 0.1 ? 2 : 1)} %`;
}

function milliseconds(place: number): string {
  const bound = WAIT_BOUNDS_MS[Math.min(place, WAIT_BOUNDS_MS.length - 1)] ?? 0;
  return `${bound < 10 ? bound.toFixed(1) : Math.round(bound)} ms`;
}
