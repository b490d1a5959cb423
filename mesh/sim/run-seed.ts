// One seed: a warm start, a phase in which anything may fail while the safety invariants hold at every event, the heal,
// convergence within its bound, and where all failed before a calm phase for what must be prompt.

import { ANTI_ENTROPY_INTERVAL_MS, ROUND_TIMEOUT_MS } from "../limits.ts";
import type { EntryChange } from "../mesh.ts";
import type { BreakName } from "./breaks.ts";
import { Checkers } from "./checkers.ts";
import { type Cause, Cluster } from "./cluster.ts";
import { LINKS_BACK_MS, SILENCE_MS_MAX } from "./connections.ts";
import { differences, firstUnlevel, isLevel } from "./convergence.ts";
import { Deliveries, type DeliveryFigures } from "./deliveries.ts";
import { planFaults } from "./faults.ts";
import { heal, injectFaults, isWhole } from "./inject-faults.ts";
import type { Violation } from "./invariants.ts";
import { Ledger } from "./ledger.ts";
import { type Profile, type ProfileName, profileOf } from "./profiles.ts";
import { seededRandom } from "./seeded-random.ts";
import type { SimMember } from "./sim-member.ts";
import { sweep } from "./sweep.ts";
import { SyncChecks } from "./sync-checks.ts";
import { warmStart } from "./warm-start.ts";
import { Writer } from "./workload.ts";

const CONVERGENCE_POLL_MS = 250;
const SWEEP_INTERVAL_MS = 500;
/** A round whose answer was lost to a fault is given up by then, and so is a link that was stalled when the faults ended. */
const CALM_AFTER_HEAL_MS = Math.max(ROUND_TIMEOUT_MS + 1.5 * ANTI_ENTROPY_INTERVAL_MS, SILENCE_MS_MAX);
const CALM_ENDS_MS = 500;
/** Of those that are left, so many are told. */
const DIFFERENCES_MAX = 10;
/** In chaos every so many seeds one member's state takes several deltas; that costs, so not in each. */
const LARGE_STATE_SEEDS = 5;
const LARGE_STATE_MEMBER = 0;
/** Members whose clock begins at 0 with each start, in chaos. */
const CLOCKLESS_SHARE = 0.3;

export interface SeedOptions {
  readonly seed: number;
  readonly hosts: number;
  readonly profile: ProfileName;
  readonly broken: BreakName | undefined;
  /** Of one member, at most; undefined: the profile's. */
  readonly connections?: number | undefined;
}

/** The same options give the same result, to the byte. */
export interface SeedResult {
  readonly seed: number;
  readonly violations: readonly Violation[];
  readonly deliveries: DeliveryFigures;
  /** Copies of gossip messages beyond each member's first. */
  readonly duplicates: number;
  /** Sent while the load ran, by an average member. */
  readonly bytesPerMemberPerSecond: number;
  /** From the heal until all held the same; the bound, if never. */
  readonly convergedAfterMs: number;
  /** What all replicas counted. */
  readonly counts: Readonly<Record<string, number>>;
  readonly syncsReached: number;
  readonly events: number;
}

export type Trace = (atMs: number, line: string) => void;

export function runSeed(options: SeedOptions, trace?: Trace): SeedResult {
  return new SeedRun(options, trace).run();
}

class SeedRun {
  readonly #options: SeedOptions;
  readonly #profile: Profile;
  readonly #ledger = new Ledger();
  readonly #checkers: Checkers;
  readonly #cluster: Cluster;
  readonly #deliveries: Deliveries;
  readonly #syncs: SyncChecks;
  readonly #writer: Writer;
  #isTracking = false;
  #duplicates = 0;

  constructor(options: SeedOptions, trace: Trace | undefined) {
    const { hosts, seed, broken } = options;
    this.#options = options;
    this.#profile = profileOf(options.profile);
    this.#checkers = new Checkers(hosts, this.#ledger);
    const { usesCodec, rates, tombstoneGraceMs } = this.#profile;
    this.#cluster = new Cluster(
      { seed, size: hosts, rates, usesCodec, tombstoneGraceMs, broken },
      {
        trace,
        onChanged: (member, change, cause) => this.#changed(member, change, cause),
        onSyncEnded: (_, id, isReached) => this.#syncs.end(this.#cluster, id, isReached),
        onTwin: ({ name }) =>
          this.#checkers.report("no-false-twin", this.#cluster.nowMs, `${name} found one`),
        onDuplicate: () => {
          this.#duplicates += 1;
        },
      },
    );
    this.#deliveries = new Deliveries(this.#cluster.members);
    this.#syncs = new SyncChecks((text) => this.#checkers.report("sync", this.#cluster.nowMs, text));
    this.#writer = new Writer({
      cluster: this.#cluster,
      random: seededRandom(seed ^ 0x5eed),
      onWritten: (member, key) => this.#written(member, key),
    });
  }

  run(): SeedResult {
    this.#begin();
    const bytesPerMemberPerSecond = this.#loadPhase();
    const healedAtMs = this.#cluster.nowMs;
    const convergedAfterMs = this.#healPhase();
    if (this.#profile.calm !== undefined && this.#checkers.violations.length === 0)
      this.#calmPhase(healedAtMs);
    const deliveries = this.#deliveries.figures(this.#profile.promptWithinMs);
    for (const text of deliveries.unexplained) this.#checkers.report("prompt", this.#cluster.nowMs, text);
    return {
      seed: this.#options.seed,
      violations: this.#checkers.violations,
      deliveries,
      duplicates: this.#duplicates,
      bytesPerMemberPerSecond,
      convergedAfterMs,
      counts: Object.fromEntries([...this.#cluster.counts].sort()),
      syncsReached: this.#syncs.reached,
      events: this.#cluster.eventCount,
    };
  }

  #begin(): void {
    const random = seededRandom(this.#options.seed ^ 0x70b0);
    if (this.#profile.isChaos) {
      for (const member of this.#cluster.members) member.hasNoClock = random() < CLOCKLESS_SHARE;
    }
    const hasLargeState = this.#profile.isChaos && this.#options.seed % LARGE_STATE_SEEDS === 0;
    warmStart(this.#cluster, {
      degreeMax: this.#options.connections ?? this.#profile.connections,
      random,
      entriesOf: ({ index }) => this.#writer.firstEntries(hasLargeState && index === LARGE_STATE_MEMBER),
    });
    this.#duplicates = 0;
    this.#cluster.counts.clear();
  }

  /** Returns the bytes that a member sent a second. */
  #loadPhase(): number {
    const { isChaos, durationMs } = this.#profile;
    const { hosts, seed } = this.#options;
    const beginMs = this.#cluster.nowMs;
    const random = seededRandom(seed ^ 0xfa17);
    injectFaults(this.#cluster, planFaults({ hosts, profile: this.#profile, beginMs, random }), this.#syncs);
    this.#isTracking = !isChaos;
    if (isChaos) this.#writer.scheduleChaos(beginMs, this.#profile);
    else this.#writer.scheduleSteady(beginMs, this.#profile);
    for (
      let atMs = beginMs + SWEEP_INTERVAL_MS;
      isChaos && atMs < beginMs + durationMs;
      atMs += SWEEP_INTERVAL_MS
    ) {
      this.#cluster.at(atMs, () => sweep(this.#cluster, this.#ledger, this.#checkers));
    }
    this.#cluster.runUntil(beginMs + durationMs);
    const bytes = this.#cluster.members.reduce((sum, member) => sum + member.bytesSent, 0);
    // What was written last gets its time too, before anything is healed.
    if (!isChaos) this.#cluster.runUntil(this.#cluster.nowMs + this.#profile.promptWithinMs);
    return Math.round(bytes / hosts / (durationMs / 1_000));
  }

  #healPhase(): number {
    const healedAtMs = this.#cluster.nowMs;
    const { convergedWithinMs } = this.#profile;
    heal(this.#cluster);
    while (this.#cluster.nowMs < healedAtMs + convergedWithinMs) {
      this.#cluster.runUntil(this.#cluster.nowMs + CONVERGENCE_POLL_MS);
      if (!isWhole(this.#cluster)) continue;
      if (!isLevel(this.#cluster) || differences(this.#cluster, 1).length > 0) continue;
      if (this.#profile.isChaos) sweep(this.#cluster, this.#ledger, this.#checkers);
      return this.#cluster.nowMs - healedAtMs;
    }
    const left = differences(this.#cluster, DIFFERENCES_MAX);
    for (const { invariant, text } of left) this.#checkers.report(invariant, this.#cluster.nowMs, text);
    const unlevel = firstUnlevel(this.#cluster) ?? "not all members are connected";
    if (left.length === 0) this.#checkers.report("converges", this.#cluster.nowMs, unlevel);
    return convergedWithinMs;
  }

  #calmPhase(healedAtMs: number): void {
    // From here on nobody is touched by what was before.
    for (const member of this.#cluster.members) member.touched.length = 0;
    this.#duplicates = 0;
    this.#cluster.runUntil(Math.max(this.#cluster.nowMs, healedAtMs + CALM_AFTER_HEAL_MS));
    // What was given up may still be being dialed, and without a link nobody can sync. Not for longer than that takes: who is not
    // connected by then fails below.
    while (!isWhole(this.#cluster) && this.#cluster.nowMs < healedAtMs + LINKS_BACK_MS)
      this.#cluster.runUntil(this.#cluster.nowMs + CONVERGENCE_POLL_MS);
    const beginMs = this.#cluster.nowMs;
    this.#isTracking = true;
    this.#writer.scheduleCalm(beginMs, this.#profile);
    const durationMs = this.#profile.calm?.durationMs ?? 0;
    const { reached } = this.#syncs;
    this.#syncAll();
    this.#cluster.runUntil(beginMs + durationMs + this.#profile.promptWithinMs + CALM_ENDS_MS);
    const lost = this.#options.hosts - (this.#syncs.reached - reached);
    if (lost > 0)
      this.#checkers.report("sync", this.#cluster.nowMs, `${lost} syncs between calm members failed`);
    this.#isTracking = false;
  }

  /** Each member with one other. */
  #syncAll(): void {
    const { members } = this.#cluster;
    for (const member of members) {
      const ahead = 1 + Math.floor(this.#cluster.random() * (members.length - 1));
      this.#syncs.begin(this.#cluster, member, this.#cluster.member((member.index + ahead) % members.length));
    }
  }

  #changed(member: SimMember, change: EntryChange, cause: Cause): void {
    const { nowMs } = this.#cluster;
    if (change.path === "own") this.#ledger.record(change);
    const known = this.#checkers.changed(member, change, nowMs);
    if (known !== undefined) this.#deliveries.delivered(member, known.slot, known.index, cause, nowMs);
  }

  #written(member: SimMember, key: string): void {
    if (!this.#isTracking) return;
    this.#deliveries.track(member, this.#ledger.slot(member.owner, key), this.#cluster.nowMs);
  }
}
