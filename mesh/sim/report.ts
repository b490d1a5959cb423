// Report: the figures of all seeds in one: how long to each member and to the last, at what cost, by which way, and what
// was missed.

import type { DeliveryPath } from "./deliveries.ts";
import { profileOf } from "./profiles.ts";
import { type Quantiles, quantilesOf } from "./quantiles.ts";
import { ONE_WAY_MAX_MS } from "./regions.ts";
import type { SeedOptions, SeedResult } from "./run-seed.ts";

export interface Report {
  readonly profile: string;
  readonly hosts: number;
  readonly connections: number;
  readonly seeds: number;
  readonly firstSeed: number;
  readonly break: string | null;
  /** Seeds in which an invariant failed. */
  readonly failedSeeds: readonly number[];
  /** By invariant, how often. */
  readonly violations: Readonly<Record<string, number>>;
  /** Deliveries that were late or lost without a fault that touched owner or member. */
  readonly unexplained: number;
  /** Those with one. They are not in the quantiles. */
  readonly explained: number;
  readonly oneWayMaxMs: number;
  /** From a write to the last member that no fault touched. */
  readonly last: Quantiles;
  /** From a write to each such member, rounded up to whole milliseconds. */
  readonly each: Quantiles;
  readonly writes: number;
  readonly deliveries: number;
  readonly byPath: Readonly<Record<DeliveryPath, number>>;
  /** Links from the origin, of what was pushed. */
  readonly hops: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly bytesPerMemberPerSecond: number;
  /** Copies of gossip messages beyond each member's first. */
  readonly duplicates: number;
  readonly duplicatesPerDelivery: number;
  readonly convergedAfterMs: Quantiles;
  readonly syncsReached: number;
}

export function buildReport(options: Omit<SeedOptions, "seed">, results: readonly SeedResult[]): Report {
  const violations = results.flatMap((result) => result.violations);
  const byInvariant = Map.groupBy(violations, ({ invariant }) => invariant);
  const deliveries = results.map((result) => result.deliveries);
  const pathCounts = sumPaths(deliveries.map(({ byPath }) => byPath));
  const delivered = pathCounts.push + pathCounts.pull + pathCounts["anti-entropy"];
  const duplicates = sum(results.map((result) => result.duplicates));
  const hops = sumLists(deliveries.map(({ byHops }) => byHops));
  return {
    profile: options.profile,
    hosts: options.hosts,
    connections: Math.min(options.connections ?? profileOf(options.profile).connections, options.hosts - 1),
    seeds: results.length,
    firstSeed: results[0]?.seed ?? 0,
    break: options.broken ?? null,
    failedSeeds: results.filter((result) => result.violations.length > 0).map(({ seed }) => seed),
    violations: Object.fromEntries([...byInvariant].map(([name, list]) => [name, list.length])),
    unexplained: sum(deliveries.map(({ unexplained }) => unexplained.length)),
    explained: sum(deliveries.map(({ explained }) => explained)),
    oneWayMaxMs: ONE_WAY_MAX_MS,
    last: quantilesOf(deliveries.flatMap(({ lastMs }) => lastMs)),
    each: quantilesOfCounts(sumLists(deliveries.map(({ eachMs }) => eachMs))),
    writes: sum(deliveries.map(({ writes }) => writes)),
    deliveries: delivered,
    byPath: pathCounts,
    hops: { p50: countQuantile(hops, 0.5) ?? 0, p99: countQuantile(hops, 0.99) ?? 0, max: hops.length - 1 },
    bytesPerMemberPerSecond: Math.round(
      sum(results.map((result) => result.bytesPerMemberPerSecond)) / Math.max(1, results.length),
    ),
    duplicates,
    duplicatesPerDelivery: delivered === 0 ? 0 : Math.round((100 * duplicates) / delivered) / 100,
    convergedAfterMs: quantilesOf(results.map((result) => result.convergedAfterMs)),
    syncsReached: sum(results.map((result) => result.syncsReached)),
  };
}

export function describeReport(report: Report): string {
  const { last, each, byPath, hops, convergedAfterMs, oneWayMaxMs } = report;
  const broken = report.break === null ? "" : `, without ${report.break}`;
  const failed = Object.entries(report.violations).map(([name, count]) => `${name} ${count}`);
  return [
    `${report.profile}: ${report.hosts} hosts with ${report.connections} connections, seeds ${report.firstSeed} to ${report.firstSeed + report.seeds - 1}${broken}`,
    `  failed        ${report.failedSeeds.length} of ${report.seeds} seeds${failed.length > 0 ? `: ${failed.join(", ")}` : ""}`,
    `  misses        ${report.unexplained} unexplained, ${report.explained} explained by a fault`,
    `  to the last   ${describeQuantiles(last)} (largest one-way delay ${oneWayMaxMs} ms)`,
    `  to each       ${describeQuantiles(each)}`,
    `  deliveries    ${report.deliveries} of ${report.writes} writes: push ${byPath.push}, pull ${byPath.pull}, anti-entropy ${byPath["anti-entropy"]}`,
    `  hops          p50 ${hops.p50}, p99 ${hops.p99}, max ${hops.max}`,
    `  cost          ${report.bytesPerMemberPerSecond} bytes sent a member a second, ${report.duplicatesPerDelivery} duplicates a delivery`,
    `  after heal    converged in ${describeQuantiles(convergedAfterMs)}`,
  ].join("\n");
}

function describeQuantiles({ p50Ms, p99Ms, maxMs }: Quantiles): string {
  const [p50, p99, max] = [p50Ms, p99Ms, maxMs].map((ms) => (ms === null ? "–" : `${ms} ms`));
  return `p50 ${p50}, p99 ${p99}, max ${max}`;
}

function quantilesOfCounts(counts: readonly number[]): Quantiles {
  return {
    p50Ms: countQuantile(counts, 0.5),
    p99Ms: countQuantile(counts, 0.99),
    maxMs: countQuantile(counts, 1),
  };
}

/** Of a list that says how often each value (its index) occurred. */
function countQuantile(counts: readonly number[], share: number): number | null {
  let left = Math.ceil(share * sum(counts));
  if (left === 0) return null;
  for (const [value, count] of counts.entries()) {
    left -= count;
    if (left <= 0) return value;
  }
  return counts.length - 1;
}

function sumLists(lists: readonly (readonly number[])[]): readonly number[] {
  const length = Math.max(0, ...lists.map((list) => list.length));
  return Array.from({ length }, (_, at) => sum(lists.map((list) => list[at] ?? 0)));
}

function sumPaths(list: readonly Readonly<Record<DeliveryPath, number>>[]): Record<DeliveryPath, number> {
  const total = { push: 0, pull: 0, "anti-entropy": 0 };
  for (const paths of list) {
    for (const path of ["push", "pull", "anti-entropy"] as const) total[path] += paths[path];
  }
  return total;
}

function sum(values: readonly number[]): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
