// Report: what happened in all seeds together, so that a reader sees that what a run is for did happen.

import { COUNT_NAMES, COUNTS, type Counts, sumCounts } from "./counts.ts";
import type { SeedResult } from "./run-seed.ts";
import type { SeedsOptions } from "./run-seeds.ts";

export interface Report {
  readonly seeds: number;
  readonly firstSeed: number;
  readonly apps: number;
  readonly break: string | null;
  readonly failedSeeds: readonly number[];
  /** By invariant, how often. */
  readonly violations: Readonly<Record<string, number>>;
  readonly events: number;
  /** Of all seeds together. */
  readonly virtualSeconds: number;
  readonly counts: Counts;
}

export function buildReport(options: SeedsOptions, results: readonly SeedResult[]): Report {
  const violations = Map.groupBy(
    results.flatMap((result) => result.violations),
    ({ invariant }) => invariant,
  );
  return {
    seeds: results.length,
    firstSeed: options.firstSeed,
    apps: options.apps,
    break: options.broken,
    failedSeeds: results.filter((result) => result.violations.length > 0).map(({ seed }) => seed),
    violations: Object.fromEntries([...violations].map(([name, list]) => [name, list.length])),
    events: results.reduce((sum, { events }) => sum + events, 0),
    virtualSeconds: Math.round(results.reduce((sum, { virtualMs }) => sum + virtualMs, 0) / 1_000),
    counts: sumCounts(results.map(({ counts }) => counts)),
  };
}

export function describeReport(report: Report): string {
  const { seeds, firstSeed, apps, failedSeeds, violations, counts } = report;
  const broken = report.break === null ? "" : `, without ${report.break}`;
  const failed = Object.entries(violations).map(([name, count]) => `${name} ${count}`);
  const number = (count: number): string => count.toLocaleString("en").padStart(11);
  return [
    `registers of ${apps} apps, seeds ${firstSeed} to ${firstSeed + seeds - 1}${broken}: ${failedSeeds.length} of ${seeds} failed${failed.length > 0 ? ` (${failed.join(", ")})` : ""}`,
    `${number(report.virtualSeconds)}  seconds of virtual time, ${report.events.toLocaleString("en")} events`,
    ...COUNT_NAMES.map((name) => `${number(counts[name])}  ${COUNTS[name]}`),
    "",
  ].join("\n");
}
