// Run system: one system in one round: its cluster is started, warmed up, written to by the schedule, and asked what arrived when.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Place, PlacedMember } from "./place.ts";
import { type CounterText, readCounters } from "./prometheus.ts";
import type { Arrival, Load, Usage, Write } from "./protocol.ts";
import { GAP_MS, type Plan } from "./schedule.ts";
import { type ClusterSize, type StartedCluster, type SystemName, startCluster } from "./system.ts";

/** After the start: what members still tell each other is no part of the measurement. */
const QUIET_MS = 1_000;
/** From the last write: what has not arrived by then is lost. */
const LOST_AFTER_MS = 10_000;
/** Until the agents have heard of all: they are told within 150 ms, or asked for again each second. */
const AGENTS_TIMEOUT_MS = 3_000;
const LOOK_MS = 50;

/** A member's books at a moment. */
interface Books {
  readonly usage: Usage;
  readonly load: Load;
  /** Of ours. */
  readonly metrics: CounterText;
}

export interface MemberCost {
  readonly name: string;
  readonly isHost: boolean;
  readonly before: Books;
  readonly after: Books;
  /** A while later, when all was told. */
  readonly settled: CounterText;
}

export interface HostWrite extends Write {
  readonly host: string;
}

export interface SystemRun {
  readonly system: SystemName;
  /** The counted ones. */
  readonly writes: readonly HostWrite[];
  /** By member's name: of each counted write that is not its own. */
  readonly arrivals: ReadonlyMap<string, readonly Arrival[]>;
  readonly proxies: readonly string[];
  readonly costs: readonly MemberCost[];
  /** When the counted part began, on the clock of all times here. */
  readonly fromMs: number;
  readonly seconds: number;
}

export interface RunInput {
  readonly system: SystemName;
  readonly size: ClusterSize;
  readonly plan: Plan;
  readonly payloadBytes: number;
  readonly place: Place;
  readonly nowMs: () => number;
  readonly signal: AbortSignal;
  readonly say: (what: string) => void;
}

/** The place is stopped by the caller, whatever comes of this. */
export async function runSystem(input: RunInput): Promise<SystemRun> {
  const { system, size, place, say, signal } = input;
  const folder = mkdtempSync(join(tmpdir(), "grapevine-bench-"));
  try {
    say(`starting ${size.hosts + size.proxies} members`);
    const cluster = await startCluster(system, size, { place, folder });
    await delay(QUIET_MS, undefined, { signal });
    return await measure(cluster, input);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(cluster: StartedCluster, input: RunInput): Promise<SystemRun> {
  const { system, plan, nowMs, signal, say } = input;
  const members = [...cluster.hosts, ...cluster.proxies];
  const readAll = () => Promise.all(members.map((member) => readBooks(member, system)));
  const seconds = (plan.toMs - plan.fromMs) / 1_000;
  const beginMs = nowMs() + GAP_MS;
  const running = Promise.all(cluster.hosts.map((host, index) => runHost(host, { index, beginMs, input })));
  // Looked at below; a failure meanwhile must not be nobody's.
  running.catch(() => undefined);
  // When the last of the warm-up has long arrived, and long before the first that counts.
  await delay(beginMs + plan.fromMs - 0.8 * GAP_MS - nowMs(), undefined, { signal });
  const before = await readAll();
  say(`measuring ${seconds} s`);
  const writes = (await running).flat();
  await delay(Math.max(0, beginMs + plan.toMs - nowMs()), undefined, { signal });
  const after = await readAll();
  const counted = writes.filter(({ dueMs }) => dueMs >= beginMs + plan.fromMs);
  const arrivals = await gather(members, counted);
  const settled = await Promise.all(members.map((member) => settleMetrics(member, system)));
  const costs = members.map((member, at) => ({
    name: member.name,
    isHost: cluster.hosts.includes(member),
    before: before[at] as Books,
    after: after[at] as Books,
    settled: settled[at] ?? new Map(),
  }));
  const proxies = cluster.proxies.map(({ name }) => name);
  return { system, writes: counted, arrivals, proxies, costs, fromMs: beginMs + plan.fromMs, seconds };
}

interface HostRun {
  readonly index: number;
  readonly beginMs: number;
  readonly input: RunInput;
}

async function runHost(
  host: PlacedMember,
  { index, beginMs, input }: HostRun,
): Promise<readonly HostWrite[]> {
  const { plan, payloadBytes } = input;
  const atMs = plan.writes.filter((write) => write.host === index).map((write) => beginMs + write.atMs);
  const { writes } = await host.ask("run", { atMs, payloadBytes });
  return writes.map((write) => ({ ...write, host: host.name }));
}

/** Each member is asked for all that is not its own. */
async function gather(
  members: readonly PlacedMember[],
  counted: readonly HostWrite[],
): Promise<ReadonlyMap<string, readonly Arrival[]>> {
  const answers = await Promise.all(
    members.map(async (member) => {
      const ids = counted.filter(({ host }) => host !== member.name).map(({ id }) => id);
      const { arrivals } = await member.ask("gather", { ids, timeoutMs: LOST_AFTER_MS });
      return [member.name, arrivals] as const;
    }),
  );
  return new Map(answers);
}

async function readBooks(member: PlacedMember, system: SystemName): Promise<Books> {
  const [usage, load, metrics] = await Promise.all([
    member.usage(),
    member.ask("load", {}),
    readMetrics(member, system),
  ]);
  return { usage, load, metrics };
}

async function readMetrics(member: PlacedMember, system: SystemName): Promise<CounterText> {
  if (system !== "ours") return new Map();
  return readCounters((await member.ask("metrics", {})).text);
}

/** An agent hears a moment later of what has arrived. */
async function settleMetrics(member: PlacedMember, system: SystemName): Promise<CounterText> {
  const untilMs = performance.now() + AGENTS_TIMEOUT_MS;
  for (;;) {
    const metrics = await readMetrics(member, system);
    const get = (name: string): number => metrics.get(name) ?? 0;
    const writes = get("grapevine_convergence_stores_writes_total");
    const isSettled = get("grapevine_convergence_stores_seconds_count") >= writes;
    if (isSettled || performance.now() > untilMs) return metrics;
    await delay(LOOK_MS);
  }
}
