// Report: all rounds as one object: what `--json` prints, and what the text and the page are made of.

import type { AgentsMeasure, Cost, Judged } from "../judge.ts";
import type { BenchOptions } from "../options.ts";
import { mean, median, round, type Spread, spreadOf } from "../stats.ts";
import type { SystemName } from "../system.ts";

export interface Round {
  readonly number: number;
  /** In the order in which they ran. */
  readonly systems: readonly Judged[];
}

/** To the last member. */
interface FloorView extends Spread {
  readonly lost: number;
  readonly each: Spread | null;
}

interface Ratio {
  readonly perRound: readonly number[];
  readonly median: number | null;
}

interface RoundView {
  readonly round: number;
  readonly order: readonly SystemName[];
  /** Of each system to the last one, and how many were lost. */
  readonly last: Readonly<Partial<Record<SystemName, (Spread & { readonly lost: number }) | null>>>;
}

export interface Report {
  readonly seed: number;
  readonly hosts: number;
  readonly proxies: number;
  readonly rate: number;
  readonly seconds: number;
  readonly rounds: number;
  readonly driver: string;
  readonly faults: "none";
  /** The version that members ran on. */
  readonly node: string;
  /** Of an event of the floors: as large as our gossip message. */
  readonly payloadBytes: number;
  readonly writes: number;
  /** Writes that some proxy's table never contained, and those that some store never held. */
  readonly lost: number;
  readonly storesLost: number;
  /** From commit to the last proxy's table in force, to each proxy's, and to the last store. */
  readonly last: Spread | null;
  readonly each: Spread | null;
  readonly stores: Spread | null;
  /** From a proxy's store to its table in force. */
  readonly table: Spread | null;
  /** From when a write was due to its commit: an open loop that falls behind shows it here. */
  readonly late: Spread | null;
  readonly floor: { readonly raw: FloorView | null; readonly streams: FloorView | null };
  readonly serf: FloorView | null;
  /** Of 99th percentiles to the last member, within each round; of ours to the last proxy's table or the last store. */
  readonly ratios: { readonly lastToStreams: Ratio; readonly lastToRaw: Ratio; readonly serfToLast: Ratio };
  /** What our agents measured themselves: buckets, and the way back of the answers. The median of the rounds. */
  readonly agents: AgentsMeasure | null;
  readonly cost: Readonly<Record<SystemName, Cost | null>>;
  readonly perRound: readonly RoundView[];
}

export function reportOf(
  options: BenchOptions,
  rounds: readonly Round[],
  { node, payloadBytes }: Pick<Report, "node" | "payloadBytes">,
): Report {
  const all = (name: SystemName): readonly Judged[] => rounds.flatMap((one) => judgedOf(one, name) ?? []);
  const ours = all("ours");
  const { seed, hosts, proxies, rate, seconds, driver } = options;
  return {
    ...{ seed, hosts, proxies, rate, seconds, rounds: rounds.length, driver, faults: "none" },
    node,
    payloadBytes,
    writes: ours.flatMap(({ writes }) => writes).length,
    lost: sum(ours.map(({ lost }) => lost)),
    storesLost: sum(ours.map(({ storesLost }) => storesLost)),
    last: spreadOf(ours.flatMap(lastOf)),
    each: spreadOf(ours.flatMap(({ eachMs }) => eachMs)),
    stores: spreadOf(ours.flatMap(({ lastStoreMs }) => lastStoreMs)),
    table: spreadOf(ours.flatMap(({ tableMs }) => tableMs)),
    late: spreadOf(ours.flatMap(({ writes }) => writes.map(({ lateMs }) => lateMs))),
    floor: { raw: floorView(all("raw")), streams: floorView(all("streams")) },
    serf: floorView(all("serf")),
    ratios: {
      lastToStreams: ratioOf(rounds, "ours", "streams"),
      lastToRaw: ratioOf(rounds, "ours", "raw"),
      serfToLast: ratioOf(rounds, "serf", "ours"),
    },
    agents: agentsView(ours),
    cost: {
      ours: costView(ours),
      raw: costView(all("raw")),
      streams: costView(all("streams")),
      serf: costView(all("serf")),
    },
    perRound: rounds.map(roundView),
  };
}

export function lastOf({ writes }: Judged): readonly number[] {
  return writes.flatMap(({ lastMs }) => lastMs ?? []);
}

function judgedOf({ systems }: Round, name: SystemName): Judged | undefined {
  return systems.find(({ system }) => system === name);
}

function floorView(runs: readonly Judged[]): FloorView | null {
  const last = spreadOf(runs.flatMap(lastOf));
  if (last === null) return null;
  return {
    ...last,
    lost: sum(runs.map(({ lost }) => lost)),
    each: spreadOf(runs.flatMap(({ eachMs }) => eachMs)),
  };
}

function roundView(one: Round): RoundView {
  const last = one.systems.map((judged) => {
    const spread = spreadOf(lastOf(judged));
    return [judged.system, spread === null ? null : { ...spread, lost: judged.lost }] as const;
  });
  return {
    round: one.number,
    order: one.systems.map(({ system }) => system),
    last: Object.fromEntries(last),
  };
}

/** Only rounds in which both ran. */
function ratioOf(rounds: readonly Round[], over: SystemName, under: SystemName): Ratio {
  const perRound = rounds.flatMap((one) => {
    const [top, bottom] = [over, under].map((name) => {
      const judged = judgedOf(one, name);
      return judged === undefined ? undefined : lastMemberP99(judged);
    });
    return top === undefined || bottom === undefined || bottom === 0 ? [] : [round(top / bottom, 2)];
  });
  const middle = median(perRound);
  return { perRound, median: middle === null ? null : round(middle, 2) };
}

/** Of ours the later of the last proxy's table and the last store: the last of more members is later by chance alone. */
function lastMemberP99(judged: Judged): number | undefined {
  const spreads = [lastOf(judged), judged.lastStoreMs].flatMap((times) => spreadOf(times) ?? []);
  return spreads.length === 0 ? undefined : Math.max(...spreads.map(({ p99Ms }) => p99Ms));
}

function agentsView(ours: readonly Judged[]): AgentsMeasure | null {
  const all = ours.flatMap(({ agents }) => agents ?? []);
  if (all.length === 0) return null;
  const middle = (pick: (one: AgentsMeasure) => number | null): number | null =>
    median(all.flatMap((one) => pick(one) ?? []));
  return {
    writes: sum(all.map(({ writes }) => writes)),
    lost: sum(all.map(({ lost }) => lost)),
    p50Ms: middle(({ p50Ms }) => p50Ms),
    p99Ms: middle(({ p99Ms }) => p99Ms),
    storesP50Ms: middle(({ storesP50Ms }) => storesP50Ms),
    storesP99Ms: middle(({ storesP99Ms }) => storesP99Ms),
  };
}

/** The mean of the rounds. */
function costView(runs: readonly Judged[]): Cost | null {
  if (runs.length === 0) return null;
  const costs = runs.map(({ cost }) => cost);
  const average = (pick: (cost: Cost) => number): number => round(mean(costs.map(pick)));
  const known = (pick: (cost: Cost) => number | null): number | null => {
    const figures = costs.flatMap((cost) => pick(cost) ?? []);
    return figures.length === 0 ? null : round(mean(figures));
  };
  return {
    cpuPercentPerMember: average(({ cpuPercentPerMember }) => cpuPercentPerMember),
    cpuMsPerWrite: average(({ cpuMsPerWrite }) => cpuMsPerWrite),
    rssBytesPerMember: average(({ rssBytesPerMember }) => rssBytesPerMember),
    sentBytesPerHostSecond: known(({ sentBytesPerHostSecond }) => sentBytesPerHostSecond),
    sentBytesPerMemberSecond: known(({ sentBytesPerMemberSecond }) => sentBytesPerMemberSecond),
    lagP50Ms: known(({ lagP50Ms }) => lagP50Ms),
    lagP99Ms: known(({ lagP99Ms }) => lagP99Ms),
    duplicatesPerWrite: known(({ duplicatesPerWrite }) => duplicatesPerWrite),
  };
}

function sum(figures: readonly number[]): number {
  return figures.reduce((all, figure) => all + figure, 0);
}
