// Workload: what members write, and when. Open loop: the times are drawn before the run.

import type { Cluster } from "./cluster.ts";
import { BURST_KEYS, BURST_VALUE_BYTES, LARGE_STATE_KEYS, type Profile } from "./profiles.ts";
import type { SimMember } from "./sim-member.ts";

/** A VM's record. */
const VALUE_BYTES_MIN = 80;
const VALUE_BYTES_MAX = 250;
/** Never deleted: it must not vanish at anyone (`no-empty-table`). */
const KEPT_KEY = "member";
const STEADY_KEY = "vm/0";
/** So often a host writes again soon after: a VM starts, and is healthy. */
const FOLLOW_UP_SHARE = 0.2;
const FOLLOW_UP_MS_MAX = 100;
/** In chaos. */
const KEYS_MAX = 10;
const LARGE_SHARE = 0.02;
/** Large values go again, so that what a restarted member is sent stays small. */
const LARGE_LIVES_MS = 1_000;
const DELETE_SHARE = 0.6;

export interface WriterDeps {
  readonly cluster: Cluster;
  readonly random: () => number;
  /** After a write of `key` by `member`. */
  readonly onWritten: (member: SimMember, key: string) => void;
}

export class Writer {
  readonly #cluster: Cluster;
  readonly #random: () => number;
  readonly #onWritten: WriterDeps["onWritten"];
  #serial = 0;

  constructor({ cluster, random, onWritten }: WriterDeps) {
    this.#cluster = cluster;
    this.#random = random;
    this.#onWritten = onWritten;
  }

  /** What a member has before the run. `isLarge`: more than fits one delta. */
  firstEntries(isLarge: boolean): readonly (readonly [string, Uint8Array])[] {
    const keys = Array.from({ length: isLarge ? LARGE_STATE_KEYS : 0 }, (_, at) => `state/${at}`);
    return [
      ...keys.map((key) => [key, this.#value(BURST_VALUE_BYTES)] as const),
      [KEPT_KEY, this.#value()],
      [STEADY_KEY, this.#value()],
    ];
  }

  /** Small writes all over the cluster at an even pace, some with another soon after. */
  scheduleSteady(beginMs: number, { durationMs, writesPerSecond }: Profile): void {
    const count = Math.round((durationMs / 1_000) * writesPerSecond);
    for (let at = 0; at < count; at += 1) {
      const dueMs = beginMs + (at * 1_000) / writesPerSecond;
      const draw = Math.floor(this.#random() * this.#cluster.members.length);
      const isFollowUp = at > 0 && this.#random() < FOLLOW_UP_SHARE;
      const followsMs = this.#random() * FOLLOW_UP_MS_MAX;
      this.#cluster.at(dueMs, () => {
        const member = this.#nextUp(draw);
        if (member === undefined) return;
        this.write(member, STEADY_KEY, this.#value());
        if (!isFollowUp) return;
        this.#cluster.atMember(member, this.#cluster.nowMs + followsMs, () => {
          this.write(member, STEADY_KEY, this.#value());
        });
      });
    }
  }

  /** Keys come, change and go; some are large, and the kept one changes with each. */
  scheduleChaos(beginMs: number, { durationMs, writesPerSecond }: Profile): void {
    const count = Math.round((durationMs / 1_000) * writesPerSecond);
    for (let at = 0; at < count; at += 1) {
      this.#cluster.at(beginMs + (at * 1_000) / writesPerSecond, () => this.#disturb());
    }
  }

  /** Bursts that do not fit a gossip message, among small writes. */
  scheduleCalm(beginMs: number, profile: Profile): void {
    const { durationMs, bursts } = profile.calm ?? { durationMs: 0, bursts: 0 };
    this.scheduleSteady(beginMs, { ...profile, durationMs });
    for (let burst = 0; burst < bursts; burst += 1) {
      this.#cluster.at(beginMs + (burst * durationMs) / bursts, () => {
        const member = this.#nextUp(Math.floor(this.#random() * this.#cluster.members.length));
        if (member !== undefined) this.#burst(member);
      });
    }
  }

  /** Null deletes. */
  write(member: SimMember, key: string, value: Uint8Array | null): void {
    if (member.replica === undefined || !member.isAnnounced) return;
    if (value === null) member.wanted.delete(key);
    else member.wanted.set(key, value);
    this.#cluster.trace(
      () => `${member.name} ${value === null ? "deletes" : `writes ${value.length} bytes to`} ${key}`,
    );
    this.#cluster.step(member, { kind: "write", key, value });
    this.#onWritten(member, key);
  }

  #disturb(): void {
    const member = this.#nextUp(Math.floor(this.#random() * this.#cluster.members.length));
    if (member === undefined) return;
    const key = `vm/${Math.floor(this.#random() * KEYS_MAX)}`;
    const isDeletion = this.#random() < DELETE_SHARE && member.wanted.has(key);
    if (isDeletion) this.write(member, key, null);
    else if (this.#random() < LARGE_SHARE) this.#burst(member, LARGE_LIVES_MS);
    else this.write(member, key, this.#value());
    if (this.#random() < 0.5) this.write(member, KEPT_KEY, this.#value());
  }

  /** All keys within one instant: the replica coalesces them, and they are over the bound of a message. */
  #burst(member: SimMember, livesMs: number = Number.POSITIVE_INFINITY): void {
    const keys = Array.from({ length: BURST_KEYS }, (_, at) => `large/${at}`);
    this.write(member, STEADY_KEY, this.#value());
    for (const key of keys) this.write(member, key, this.#value(BURST_VALUE_BYTES));
    if (livesMs === Number.POSITIVE_INFINITY) return;
    this.#cluster.at(this.#cluster.nowMs + livesMs, () => {
      for (const key of keys) if (member.wanted.has(key)) this.write(member, key, null);
    });
  }

  /** From there on the first that can write: a host that is down or stopped writes nothing. */
  #nextUp(first: number): SimMember | undefined {
    const { members, nowMs } = this.#cluster;
    const from = [...members.slice(first), ...members.slice(0, first)];
    return from.find((member) => member.isUp && member.isAnnounced && member.pausedUntilMs <= nowMs);
  }

  /** Unlike every other. */
  #value(bytes: number = VALUE_BYTES_MIN + this.#random() * (VALUE_BYTES_MAX - VALUE_BYTES_MIN)): Uint8Array {
    this.#serial += 1;
    const value = new Uint8Array(bytes).fill(this.#random() * 256);
    new DataView(value.buffer).setUint32(0, this.#serial);
    return value;
  }
}
