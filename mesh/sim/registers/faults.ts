// Faults: what happens to hosts, disks and the network while a run is in chaos. Each is drawn when the one before has begun.

import type { Clock } from "./clock.ts";
import type { Hosts } from "./hosts.ts";
import { hostOf } from "./names.ts";
import type { Operator } from "./operator.ts";

/** Between two faults, on the average of one run: each has its own, from here to there. */
const PAUSE_MS_MIN = 200;
const PAUSE_MS_MAX = 1_500;
const DOWN_MS_MIN = 20;
const DOWN_MS_MAX = 1_000;
/** Of a process that crashes again and again. */
const CRASHES_IN_A_ROW = 3;
const SHORT_MS_MAX = 300;
const CUT_MS_MAX = 1_500;
const DEAF_MS_MAX = 6_000;
const SLOW_DISK_MS_MAX = 1_000;
const SLOWNESS = 30;
/** In one run. */
const LOST_DISKS_MAX = 2;
/** Voters that one may be lost of, and the rest is a majority also while it is replaced. */
const VOTERS_TO_LOSE_ONE = 3;
/** Of swaps that are proposed: who makes it crashes at once, and is soon back. */
const PROPOSE_CRASH_SHARE = 0.05;
const SHORT_CUT_MS = 30;
/** Of lists that begin to be settled: who does it crashes in the middle. */
const SETTLE_CRASH_SHARE = 0.3;
const SETTLE_CRASH_MS_MAX = 400;

type Kind = "crash" | "crash-loop" | "partition" | "one-way" | "slow-disk" | "lost-disk" | "late-lists";

const KINDS: readonly Kind[] = [
  "crash",
  "crash",
  "crash-loop",
  "partition",
  "one-way",
  "slow-disk",
  "lost-disk",
  "lost-disk",
  "late-lists",
  "late-lists",
];

export class Faults {
  readonly #clock: Clock;
  readonly #hosts: Hosts;
  readonly #pauseMs: number;
  #lostDisks = 0;
  #isOn = true;

  constructor(clock: Clock, hosts: Hosts) {
    this.#clock = clock;
    this.#pauseMs = clock.between(PAUSE_MS_MIN, PAUSE_MS_MAX);
    hosts.onPropose((host) => this.#propose(host));
    this.#hosts = hosts;
  }

  start(operator: Operator): void {
    const clock = this.#clock;
    clock.after(2 * clock.random() * this.#pauseMs, () => {
      if (!this.#isOn) return;
      this.#inject(clock.pick(KINDS) ?? "crash", operator);
      this.start(operator);
    });
  }

  /** Whoever settles a list may not live to the end of it. */
  onSettle(host: number): void {
    const clock = this.#clock;
    if (!this.#isOn || !clock.chance(SETTLE_CRASH_SHARE)) return;
    clock.after(clock.between(1, SETTLE_CRASH_MS_MAX), () => {
      if (this.#isOn) this.#crash(host);
    });
  }

  /** The worst moment for a crash: some were asked to accept, and the proposer knows nothing of it any more. */
  #propose(host: number): void {
    const clock = this.#clock;
    if (!this.#isOn || !clock.chance(PROPOSE_CRASH_SHARE)) return;
    this.#cut(host, this.#someOf(0.3), clock.nowMs + SHORT_CUT_MS, false);
    clock.after(clock.random() * SHORT_CUT_MS, () => {
      if (this.#isOn) this.#hosts.crash(host, clock.between(1, SHORT_CUT_MS));
    });
  }

  /** No more of them; all hosts are up, nothing is cut or lost. */
  heal(): void {
    this.#isOn = false;
    this.#clock.tell(null, () => "HEAL");
    this.#hosts.network.heal();
    for (let host = 0; host < this.#hosts.count; host += 1) {
      this.#hosts.deafen(host, 0);
      this.#hosts.start(host);
    }
  }

  #inject(kind: Kind, operator: Operator): void {
    const clock = this.#clock;
    switch (kind) {
      case "crash":
        this.#crash(this.#someVoter());
        return;
      case "crash-loop":
        this.#crashAgain(this.#someVoter(), CRASHES_IN_A_ROW);
        return;
      case "partition":
        this.#partition();
        return;
      case "one-way":
        this.#cutOneWay();
        return;
      case "slow-disk":
        clock.counts.slowDisks += 1;
        this.#hosts.slowDisk(this.#someVoter(), SLOWNESS, clock.between(1, SLOW_DISK_MS_MAX));
        return;
      case "lost-disk":
        this.#loseDisk(operator);
        return;
      case "late-lists":
        this.#deafen();
        return;
      default:
        kind satisfies never;
    }
  }

  #crash(host: number): void {
    this.#hosts.crash(host, this.#clock.between(DOWN_MS_MIN, DOWN_MS_MAX));
  }

  /** A sick machine: it crashes, starts, reaches few others, its disk is slow, and it crashes again. */
  #crashAgain(host: number, times: number): void {
    const clock = this.#clock;
    if (!this.#isOn || times === 0) return;
    const downMs = clock.between(1, SHORT_MS_MAX);
    const upMs = clock.between(1, SHORT_MS_MAX);
    this.#hosts.slowDisk(host, SLOWNESS, downMs + upMs);
    this.#hosts.crash(host, downMs);
    this.#cut(host, [host, ...this.#someOf(0.5)], clock.nowMs + downMs + upMs, false);
    clock.after(downMs + upMs, () => this.#crashAgain(host, times - 1));
  }

  /** Most often; else any host. */
  #someVoter(): number {
    const voter = this.#clock.pick(this.#hosts.judge.newestList.voters);
    if (voter === undefined || this.#clock.chance(0.3)) return this.#someHost();
    return hostOf(voter.owner);
  }

  #someHost(): number {
    return Math.floor(this.#clock.random() * this.#hosts.count);
  }

  #partition(): void {
    const clock = this.#clock;
    const inside = this.#someOf(0.4);
    const untilMs = clock.nowMs + clock.between(1, CUT_MS_MAX);
    clock.counts.partitions += 1;
    clock.tell(
      null,
      () => `PARTITION of hosts ${inside.join(" ")} for ${Math.round(untilMs - clock.nowMs)} ms`,
    );
    for (const from of inside) this.#cut(from, inside, untilMs, true);
  }

  /** Voter lists come late to some. */
  #deafen(): void {
    const clock = this.#clock;
    const hosts = this.#someOf(0.3);
    clock.counts.lateLists += 1;
    clock.tell(null, () => `LATE LISTS: hosts ${hosts.join(" ")} hear of none for a while`);
    for (const host of hosts) this.#hosts.deafen(host, clock.between(1, DEAF_MS_MAX));
  }

  #cutOneWay(): void {
    const clock = this.#clock;
    const from = this.#someVoter();
    const untilMs = clock.nowMs + clock.between(1, CUT_MS_MAX);
    clock.counts.oneWayCuts += 1;
    const spared = this.#someOf(0.3);
    clock.tell(
      null,
      () =>
        `CUT from host-${from} to all but ${spared.join(" ")} for ${Math.round(untilMs - clock.nowMs)} ms`,
    );
    this.#cut(from, spared, untilMs, false);
  }

  #cut(from: number, spared: readonly number[], untilMs: number, isBothWays: boolean): void {
    for (let to = 0; to < this.#hosts.count; to += 1) {
      if (spared.includes(to)) continue;
      this.#hosts.network.cut(from, to, untilMs);
      if (isBothWays) this.#hosts.network.cut(to, from, untilMs);
    }
  }

  #someOf(share: number): readonly number[] {
    return Array.from({ length: this.#hosts.count }, (_, host) => host).filter(() =>
      this.#clock.chance(share),
    );
  }

  /** Never of so many that what was committed is gone: then only a backup helps. */
  #loseDisk(operator: Operator): void {
    const { newestList: list } = this.#hosts.judge;
    const mayLose = list.isSettled && list.voters.length >= VOTERS_TO_LOSE_ONE;
    if (!mayLose || operator.lostOf(list).length > 0 || this.#lostDisks >= LOST_DISKS_MAX) return;
    this.#lostDisks += 1;
    this.#hosts.loseDisk(
      this.#someOfList(list.voters.map(({ owner }) => hostOf(owner))),
      this.#clock.between(DOWN_MS_MIN, DOWN_MS_MAX),
    );
  }

  #someOfList(hosts: readonly number[]): number {
    return this.#clock.pick(hosts) ?? 0;
  }
}
