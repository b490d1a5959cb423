// Judge: from what members wrote down to latencies. Whom a write must reach is fixed beforehand; what did not arrive is lost, and
// is never left out of a count.

import { bucketsBetween, quantileMs } from "./prometheus.ts";
import type { Arrival } from "./protocol.ts";
import type { HostWrite, MemberCost, SystemRun } from "./run-system.ts";
import { mean, round } from "./stats.ts";
import type { SystemName } from "./system.ts";

export interface JudgedWrite {
  /** From the begin of the counted part to its commit. */
  readonly atMs: number;
  /** From when it was due to its commit. */
  readonly lateMs: number;
  /** From its commit until the last had it; null: lost. Of ours: the last proxy's table in force. */
  readonly lastMs: number | null;
}

export interface Judged {
  readonly system: SystemName;
  readonly writes: readonly JudgedWrite[];
  /** From each commit to each that had to get it. */
  readonly eachMs: readonly number[];
  /** Of ours: to the last store, of hosts and proxies. */
  readonly lastStoreMs: readonly number[];
  /** Of ours, at each proxy: from its store to its table in force. */
  readonly tableMs: readonly number[];
  readonly lost: number;
  readonly storesLost: number;
  readonly cost: Cost;
  /** What our agents measured themselves meanwhile; null of others. */
  readonly agents: AgentsMeasure | null;
}

export interface Cost {
  /** Of one core, over the counted part. */
  readonly cpuPercentPerMember: number;
  /** Of all members together. */
  readonly cpuMsPerWrite: number;
  readonly rssBytesPerMember: number;
  readonly sentBytesPerHostSecond: number | null;
  readonly sentBytesPerMemberSecond: number | null;
  /** Of the member with the worst. */
  readonly lagP50Ms: number | null;
  readonly lagP99Ms: number | null;
  /** Gossip that had come already, of all members, for each write. */
  readonly duplicatesPerWrite: number | null;
}

export interface AgentsMeasure {
  readonly writes: number;
  readonly lost: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly storesP50Ms: number | null;
  readonly storesP99Ms: number | null;
}

export function judge(run: SystemRun): Judged {
  const arrivals = new Map(
    [...run.arrivals].map(([member, list]) => [member, new Map(list.map((one) => [one.id, one]))] as const),
  );
  const isOurs = run.system === "ours";
  const timesOf = (write: HostWrite, members: readonly string[], at: keyof Arrival): (number | null)[] =>
    members
      .filter((member) => member !== write.host)
      .map((member) => {
        const time = arrivals.get(member)?.get(write.id)?.[at];
        // An answer to Serf's writer may be behind the event itself.
        return typeof time === "number" ? Math.max(0, time - write.atMs) : null;
      });
  const everyone = [...arrivals.keys()];
  const goals = run.writes.map((write) =>
    isOurs ? timesOf(write, run.proxies, "inForceMs") : timesOf(write, everyone, "storedMs"),
  );
  const stores = isOurs ? run.writes.map((write) => lastOf(timesOf(write, everyone, "storedMs"))) : [];
  const writes = run.writes.map(({ atMs, dueMs }, at) => {
    return { atMs: atMs - run.fromMs, lateMs: atMs - dueMs, lastMs: lastOf(goals[at] ?? []) };
  });
  return {
    system: run.system,
    writes: writes.toSorted((left, right) => left.atMs - right.atMs),
    eachMs: goals.flat().filter((time) => time !== null),
    lastStoreMs: stores.filter((time) => time !== null),
    tableMs: isOurs ? tableTimes(run) : [],
    lost: writes.filter(({ lastMs }) => lastMs === null).length,
    storesLost: stores.filter((time) => time === null).length,
    cost: costOf(run),
    agents: isOurs ? agentsOf(run.costs) : null,
  };
}

function tableTimes({ arrivals, proxies }: SystemRun): readonly number[] {
  return proxies
    .flatMap((proxy) => arrivals.get(proxy) ?? [])
    .flatMap(({ storedMs, inForceMs }) =>
      storedMs === null || inForceMs === null ? [] : inForceMs - storedMs,
    );
}

/** Null if one is. */
function lastOf(times: readonly (number | null)[]): number | null {
  const there = times.filter((time) => time !== null);
  return there.length < times.length || there.length === 0 ? null : Math.max(...there);
}

function costOf({ costs, writes }: SystemRun): Cost {
  const cpuMs = costs.map(({ before, after }) => after.usage.cpuMs - before.usage.cpuMs);
  const spentMs = costs.map(({ before, after }) => after.usage.atMs - before.usage.atMs);
  const total = cpuMs.reduce((sum, ms) => sum + ms, 0);
  const lags = costs.flatMap(({ after }) => after.load.lag ?? []);
  const duplicates = costs.map(({ before, after }) => {
    const of = (name: string): number => growth(`grapevine_mesh_gossip_${name}_total`, before, after);
    return of("copies") - of("published") - of("received");
  });
  const isOurs = costs.some(({ after }) => after.metrics.size > 0);
  return {
    cpuPercentPerMember: round(mean(cpuMs.map((ms, at) => (100 * ms) / (spentMs[at] ?? 1)))),
    cpuMsPerWrite: round(total / Math.max(1, writes.length)),
    rssBytesPerMember: Math.round(mean(costs.map(({ after }) => after.usage.rssBytes))),
    sentBytesPerHostSecond: sentPerSecond(costs.filter(({ isHost }) => isHost)),
    sentBytesPerMemberSecond: sentPerSecond(costs),
    lagP50Ms: lags.length === 0 ? null : round(Math.max(...lags.map(({ p50Ms }) => p50Ms))),
    lagP99Ms: lags.length === 0 ? null : round(Math.max(...lags.map(({ p99Ms }) => p99Ms))),
    duplicatesPerWrite: isOurs
      ? round(duplicates.reduce((sum, count) => sum + count, 0) / Math.max(1, writes.length))
      : null,
  };
}

function growth(name: string, before: MemberCost["before"], after: MemberCost["after"]): number {
  return (after.metrics.get(name) ?? 0) - (before.metrics.get(name) ?? 0);
}

function sentPerSecond(costs: readonly MemberCost[]): number | null {
  const rates = costs.map(({ before, after }) => {
    const [from, to] = [before.load.sentBytes, after.load.sentBytes];
    if (from === null || to === null) return null;
    return ((to - from) * 1_000) / (after.usage.atMs - before.usage.atMs);
  });
  const known = rates.filter((rate) => rate !== null);
  return known.length === 0 ? null : Math.round(mean(known));
}

function agentsOf(costs: readonly MemberCost[]): AgentsMeasure {
  const looks = costs
    .filter(({ isHost }) => isHost)
    .map(({ before, settled }) => ({ before: before.metrics, after: settled }));
  const grown = (name: string): number =>
    looks.reduce((sum, { before, after }) => {
      const samples = [...after].filter(([sample]) => sample === name || sample.startsWith(`${name}{`));
      return sum + samples.reduce((all, [sample, count]) => all + count - (before.get(sample) ?? 0), 0);
    }, 0);
  const [proxies, stores] = ["grapevine_convergence_seconds", "grapevine_convergence_stores_seconds"].map(
    (name) => bucketsBetween(name, looks),
  );
  const quantile = (buckets: typeof proxies, share: number): number | null => {
    const found = quantileMs(buckets ?? [], share);
    return found === null ? null : round(found);
  };
  return {
    writes: grown("grapevine_convergence_writes_total"),
    lost: grown("grapevine_convergence_lost_total"),
    p50Ms: quantile(proxies, 0.5),
    p99Ms: quantile(proxies, 0.99),
    storesP50Ms: quantile(stores, 0.5),
    storesP99Ms: quantile(stores, 0.99),
  };
}

/** Of our own gossip messages in this run, from what hosts published; null: none. */
export function gossipBytes({ costs }: SystemRun): number | null {
  const sum = (name: string): number =>
    costs.reduce((all, { before, after }) => all + growth(name, before, after), 0);
  const messages = sum("grapevine_mesh_gossip_published_total");
  return messages === 0 ? null : Math.round(sum("grapevine_mesh_gossip_published_bytes_total") / messages);
}
