// What one seed of the liveness simulator measures: how soon a fault is seen by all that are well, and who is blamed that is well.

import { LivenessCluster, type LivenessClusterOptions } from "./cluster.ts";

/** Everybody has been probed by then. */
const WARM_UP_MS = 5_000;
/** A fault that is not seen by then is not seen. */
const WATCH_MS = 60_000;
/** This one is faulty; those after it have little CPU. */
const FAULTY = 0;

export const FAULTS = ["killed", "frozen", "cut-in", "cut-out"] as const;
export type Fault = (typeof FAULTS)[number];

export interface MeasureOptions extends LivenessClusterOptions {
  /** So many get a tenth of their CPU, in the worst way: nothing for 4.5 s, then all for 0.5 s. */
  readonly slow: number;
}

export interface Detection {
  /** From the fault to the first, and to the last of all others that have their CPU, milliseconds. Undefined: not within a minute. */
  readonly firstMs: number | undefined;
  readonly lastMs: number | undefined;
  /** Deaths that anybody declared of members that live and have their CPU. */
  readonly falseDeaths: number;
}

export function measureDetection(options: MeasureOptions, fault: Fault): Detection {
  const { members, slow, seed } = options;
  const cluster = startCluster(options);
  cluster.run(WARM_UP_MS + ((seed * 37) % 1_000));
  const beganAtMs = cluster.nowMs;
  const seen = new Map<number, number>();
  let falseDeaths = 0;
  cluster.onJudgement(({ to, member, observer, atMs }) => {
    if (to !== "dead" || observer === FAULTY) return;
    if (member > slow) falseDeaths += 1;
    else if (member === FAULTY && observer > slow && !seen.has(observer))
      seen.set(observer, atMs - beganAtMs);
  });
  cluster.set(FAULTY, fault);
  const observers = members - 1 - slow;
  for (let ranMs = 0; ranMs < WATCH_MS && seen.size < observers; ranMs += 500) cluster.run(500);
  const times = [...seen.values()];
  const isSeenByAll = times.length === observers;
  return {
    firstMs: times.length === 0 ? undefined : Math.min(...times),
    lastMs: isSeenByAll ? Math.max(...times) : undefined,
    falseDeaths,
  };
}

export interface FalseDeaths {
  /** Deaths of members that have their CPU, that anybody declared. */
  readonly deaths: number;
  /** So many of them. */
  readonly members: number;
  /** Messages a member and second. */
  readonly messagesPerSecond: number;
}

/** Nobody fails. */
export function measureFalseDeaths(options: MeasureOptions, seconds: number): FalseDeaths {
  const cluster = startCluster(options);
  const died = new Set<number>();
  let deaths = 0;
  cluster.onJudgement(({ to, member }) => {
    if (to !== "dead" || (member > FAULTY && member <= options.slow)) return;
    deaths += 1;
    died.add(member);
  });
  cluster.run(seconds * 1_000);
  return { deaths, members: died.size, messagesPerSecond: cluster.sent / options.members / seconds };
}

function startCluster(options: MeasureOptions): LivenessCluster {
  const cluster = new LivenessCluster(options);
  for (let index = 1; index <= options.slow; index += 1) cluster.set(index, "slow");
  return cluster;
}
