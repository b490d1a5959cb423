// What one seed of the liveness simulator measures: how soon a fault is seen, and who is blamed that lives.

import { LivenessCluster, type LivenessClusterOptions } from "./cluster.ts";

/** Everybody has been probed by then. */
const WARM_UP_MS = 5_000;
/** A fault that is not seen by then is not seen. */
const WATCH_MS = 60_000;
/** Of these members one is faulty, the others have little CPU. */
const FAULTY = 0;

export const FAULTS = ["killed", "frozen", "cut-in", "cut-out"] as const;
export type Fault = (typeof FAULTS)[number];

export interface Detection {
  /** From the fault to the first, and to the last of all others, milliseconds. Undefined: not by all within a minute. */
  readonly firstMs: number;
  readonly lastMs: number | undefined;
  /** Of others that lived: deaths that anybody declared. */
  readonly falseDeaths: number;
}

export function measureDetection(options: LivenessClusterOptions, fault: Fault): Detection {
  const cluster = new LivenessCluster(options);
  const phaseMs = (options.seed * 37) % 1_000;
  cluster.run(WARM_UP_MS + phaseMs);
  const beganAtMs = cluster.nowMs;
  const seen = new Map<number, number>();
  let falseDeaths = 0;
  cluster.onJudgement(({ to, member, observer, atMs }) => {
    if (to !== "dead" || observer === FAULTY) return;
    if (member !== FAULTY) falseDeaths += 1;
    else if (!seen.has(observer)) seen.set(observer, atMs - beganAtMs);
  });
  cluster.set(FAULTY, fault);
  for (let ranMs = 0; ranMs < WATCH_MS && seen.size < options.members - 1; ranMs += 500) cluster.run(500);
  const times = [...seen.values()];
  const lastMs = times.length === options.members - 1 ? Math.max(...times) : undefined;
  return { firstMs: Math.min(...times), lastMs, falseDeaths };
}

export interface FalseDeaths {
  /** Deaths of members that had all their CPU, that anybody declared. */
  readonly deaths: number;
  /** So many of them. */
  readonly members: number;
  /** Messages a member and second. */
  readonly messagesPerSecond: number;
}

/** Nobody fails; `slow` members get a tenth of their CPU, in the worst way: nothing for 4.5 s, then all for 0.5 s. */
export function measureFalseDeaths(
  options: LivenessClusterOptions,
  { slow, seconds }: { readonly slow: number; readonly seconds: number },
): FalseDeaths {
  const cluster = new LivenessCluster(options);
  const died = new Set<number>();
  let deaths = 0;
  cluster.onJudgement(({ to, member }) => {
    if (to !== "dead" || member < slow) return;
    deaths += 1;
    died.add(member);
  });
  for (let index = 0; index < slow; index += 1) cluster.set(index, "slow");
  cluster.run(seconds * 1_000);
  return { deaths, members: died.size, messagesPerSecond: cluster.sent / options.members / seconds };
}
