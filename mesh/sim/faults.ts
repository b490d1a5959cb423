// Faults: a plan of what goes wrong when, drawn from a seed before the run, so that the same faults can meet other code.

import type { Profile } from "./profiles.ts";

export type Fault = { readonly atMs: number } & (
  | { readonly kind: "crash"; readonly member: number; readonly downMs: number; readonly losesDisk: boolean }
  /** The process is stopped, and goes on as if no time had passed. */
  | { readonly kind: "pause"; readonly member: number; readonly forMs: number }
  /** Each event takes so long. */
  | { readonly kind: "slow"; readonly member: number; readonly forMs: number; readonly eventMs: number }
  /** The wall clock jumps: it counts when the process starts next. */
  | { readonly kind: "clock"; readonly member: number; readonly offsetMs: number }
  /** Nothing passes between these and the others. */
  | { readonly kind: "partition"; readonly members: readonly number[]; readonly forMs: number }
  /** Nothing passes from this one to these; the other way it does. */
  | {
      readonly kind: "one-way";
      readonly member: number;
      readonly to: readonly number[];
      readonly forMs: number;
    }
  | { readonly kind: "broken-link"; readonly member: number; readonly peer: number }
  /** Not a fault: somebody asks for a sync in the middle of it. */
  | { readonly kind: "sync"; readonly member: number; readonly peer: number }
);

export interface FaultPlanOptions {
  readonly hosts: number;
  readonly profile: Profile;
  readonly beginMs: number;
  readonly random: () => number;
}

const YEAR_MS = 365 * 24 * 3_600_000;
/** Down between these, when a process crashes and is started again. */
const DOWN_MS: Range = [500, 3_000];
/** Down between these, when a member leaves for a while. */
const AWAY_MS: Range = [3_000, 10_000];

type Range = readonly [least: number, most: number];

/** In the order of time; every one is over by the end of the phase. */
export function planFaults({ hosts, profile, beginMs, random }: FaultPlanOptions): readonly Fault[] {
  const endMs = beginMs + profile.durationMs;
  const within = ([least, most]: Range): number => least + random() * (most - least);
  const draw = (): number => Math.floor(random() * hosts);
  const drawSome = (share: number): readonly number[] =>
    Array.from({ length: hosts }, (_, member) => member).filter(() => random() < share);
  const when = (): number => within([beginMs, endMs]);
  /** Durations end with the phase. */
  const lasting = (atMs: number, range: Range): number => Math.min(within(range), endMs - atMs);
  const faults: Fault[] = [];
  const repeat = (count: number, make: (atMs: number) => Fault): void => {
    for (let done = 0; done < count; done += 1) faults.push(make(when()));
  };
  for (const member of distinct(Math.round(hosts * profile.crashShare), hosts, random)) {
    faults.push({ kind: "crash", atMs: when(), member, downMs: within(DOWN_MS), losesDisk: false });
  }
  if (profile.isChaos) {
    // One member is sure to: run-seed.ts may give it the large state.
    repeat(1, (atMs) => ({ kind: "crash", atMs, member: 0, downMs: within(DOWN_MS), losesDisk: false }));
    repeat(hosts * 0.4, (atMs) => {
      return { kind: "crash", atMs, member: draw(), downMs: within(DOWN_MS), losesDisk: random() < 0.4 };
    });
    repeat(hosts * 0.1, (atMs) => {
      return { kind: "crash", atMs, member: draw(), downMs: within(AWAY_MS), losesDisk: random() < 0.2 };
    });
    repeat(hosts * 0.2, (atMs) => ({
      kind: "pause",
      atMs,
      member: draw(),
      forMs: lasting(atMs, [100, 6_000]),
    }));
    repeat(hosts * 0.1, (atMs) => {
      return {
        kind: "slow",
        atMs,
        member: draw(),
        forMs: lasting(atMs, [500, 5_000]),
        eventMs: within([1, 10]),
      };
    });
    repeat(hosts * 0.3, (atMs) => ({
      kind: "clock",
      atMs,
      member: draw(),
      offsetMs: within([-YEAR_MS, YEAR_MS]),
    }));
    repeat(3, (atMs) => {
      return {
        kind: "partition",
        atMs,
        members: drawSome(within([0.05, 0.5])),
        forMs: lasting(atMs, [200, 7_000]),
      };
    });
    repeat(hosts * 0.1, (atMs) => {
      return { kind: "one-way", atMs, member: draw(), to: drawSome(0.5), forMs: lasting(atMs, [200, 7_000]) };
    });
    repeat(hosts, (atMs) => ({ kind: "broken-link", atMs, member: draw(), peer: draw() }));
    repeat(hosts, (atMs) => ({ kind: "sync", atMs, member: draw(), peer: draw() }));
  }
  return faults.sort((left, right) => left.atMs - right.atMs);
}

function distinct(count: number, hosts: number, random: () => number): ReadonlySet<number> {
  const drawn = new Set<number>();
  while (drawn.size < Math.min(count, hosts)) drawn.add(Math.floor(random() * hosts));
  return drawn;
}

export function describeFault(fault: Fault): string {
  const { atMs: _, kind, ...facts } = fault;
  const parts = Object.entries(facts).map(([name, value]) => {
    if (Array.isArray(value)) return `${name}=[${value.join(" ")}]`;
    return `${name}=${typeof value === "number" ? Math.round(value) : value}`;
  });
  return `${kind} ${parts.join(" ")}`;
}
