// Profiles: what a run does to its members, and what it then requires. All times are virtual.

import { CONNECTIONS_MAX, DELTA_BYTES_MAX, GOSSIP_BYTES_MAX, TOMBSTONE_GRACE_MS } from "../limits.ts";
import { type NetworkRates, PERFECT } from "./network.ts";

export interface Profile {
  /** As `--help` tells it. */
  readonly text: string;
  readonly hosts: number;
  /** Of one member; fewer members are fully connected. Fewer connections are more hops, and cost less to simulate. */
  readonly connections: number;
  /** Messages are encoded and decoded on their way. */
  readonly usesCodec: boolean;
  readonly tombstoneGraceMs: number;
  /** While faults are on. */
  readonly rates: NetworkRates;
  /** Of the phase with load and faults. */
  readonly durationMs: number;
  /** Over all members; open loop: one is due whatever became of the last. */
  readonly writesPerSecond: number;
  /** Of members: their process dies once and comes back with its disk. */
  readonly crashShare: number;
  /** Everything else that can fail, too: see faults.ts. */
  readonly isChaos: boolean;
  /** After the heal all must be converged within this. */
  readonly convergedWithinMs: number;
  /**
   * Within it a write must be at every member that no fault touched. In the phase with faults, or, where everything fails
   * there, in a calm phase after the heal.
   */
  readonly promptWithinMs: number;
  readonly calm: { readonly durationMs: number; readonly bursts: number } | undefined;
}

/** A burst does not fit a gossip message, so it travels by pull. */
export const BURST_VALUE_BYTES: number = 60 * 1024;
export const BURST_KEYS: number = Math.ceil((GOSSIP_BYTES_MAX + 1) / BURST_VALUE_BYTES);

/** A state of so many does not fit a delta, so it travels in chunks. */
export const LARGE_STATE_KEYS: number = Math.ceil((DELTA_BYTES_MAX + 1) / BURST_VALUE_BYTES);

const WAN: Profile = {
  text: "regions with real delays, nothing is lost, nobody fails",
  hosts: 200,
  connections: 100,
  usesCodec: false,
  tombstoneGraceMs: TOMBSTONE_GRACE_MS,
  rates: PERFECT,
  durationMs: 10_000,
  writesPerSecond: 10,
  crashShare: 0,
  isChaos: false,
  convergedWithinMs: 10_000,
  // Five times the largest delay: four hops and a retry.
  promptWithinMs: 1_100,
  calm: undefined,
};

export const PROFILE_NAMES = ["wan", "wan-faults", "chaos"] as const;

export type ProfileName = (typeof PROFILE_NAMES)[number];

const PROFILES: Readonly<Record<ProfileName, Profile>> = {
  wan: WAN,
  "wan-faults": {
    ...WAN,
    text: "wan with 5 % loss, and 10 % of members crash and come back",
    rates: { ...PERFECT, lossRate: 0.05 },
    crashShare: 0.1,
    convergedWithinMs: 20_000,
    promptWithinMs: 4_000,
  },
  chaos: {
    text: "everything fails: loss, order, doubles, cuts, partitions, crashes, disks, pauses, clocks, full queues; then heal",
    hosts: 50,
    connections: CONNECTIONS_MAX,
    usesCodec: true,
    // Shorter than the longest partition and the longest absence.
    tombstoneGraceMs: 3_000,
    rates: { lossRate: 0.1, duplicationRate: 0.1, reorderRate: 0.2, overflowRate: 0.01, tamperRate: 0.01 },
    durationMs: 8_000,
    writesPerSecond: 12,
    crashShare: 0,
    isChaos: true,
    convergedWithinMs: 20_000,
    // A burst: gossip, then a pull of what it said, and the first round trip of a slow start.
    promptWithinMs: 1_500,
    calm: { durationMs: 1_000, bursts: 2 },
  },
};

export function isProfileName(text: string): text is ProfileName {
  return (PROFILE_NAMES as readonly string[]).includes(text);
}

export function profileOf(name: ProfileName): Profile {
  return PROFILES[name];
}
