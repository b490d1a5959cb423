// Operator: wants 1, then 3, then 5, then 3 voters, and those that lost their disk replaced; sees to it that some voter is at it. One
// that is slow gets company: two at once are harmless.

import type { VoterChange, VoterList } from "../../register/voter-list.ts";
import type { Clock } from "./clock.ts";
import type { Hosts } from "./hosts.ts";
import { hostOf, voterOfHost } from "./names.ts";
import type { Process } from "./process.ts";
import { VoterJob } from "./voter-job.ts";

/** How many voters there are to be; there is one at first. */
const GOALS = [3, 5, 3] as const;
const LOOK_MS = 100;
/** How long each set of voters is left as it is. */
const CALM_MS_MIN = 500;
const CALM_MS_MAX = 1_500;
/** Then it takes too long, and another one begins too. */
const PATIENCE_MS = 4_000;

export interface OperatorOptions {
  /** A list began to be settled at this host. */
  readonly onSettle: (host: number) => void;
}

export class Operator {
  readonly #clock: Clock;
  readonly #hosts: Hosts;
  readonly #options: OperatorOptions;
  #goal = 0;
  #jobs: { readonly job: VoterJob; readonly sinceMs: number }[] = [];
  #serial = 0;
  #calmUntilMs: number;
  #isReached = false;
  #isDone = false;
  /** By number of the list: who began to settle it first. */
  readonly #settlers = new Map<number, Process>();

  constructor(clock: Clock, hosts: Hosts, options: OperatorOptions) {
    this.#clock = clock;
    this.#hosts = hosts;
    this.#options = options;
    this.#calmUntilMs = clock.nowMs + clock.between(CALM_MS_MIN, CALM_MS_MAX);
    this.#look();
  }

  /** All goals were reached, and all is settled, when it looked last. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** Voters of this list whose disk is gone. */
  lostOf(list: VoterList): readonly VoterList["voters"][number][] {
    return list.voters.filter(({ id, owner }) => this.#hosts.voterAt(hostOf(owner)) !== id);
  }

  describe(): string {
    const { newestList: list } = this.#hosts.judge;
    return `list ${list.number} with ${list.voters.length} of ${GOALS[this.#goal]} voters${list.isSettled ? "" : ", not settled"}`;
  }

  #isAsWished(): boolean {
    const { newestList: list } = this.#hosts.judge;
    // Who settled it may not have lived to say so.
    const isKnown = this.#hosts.processes.some(
      ({ directory }) => directory.list?.number === list.number && directory.list.isSettled,
    );
    return isKnown && list.voters.length === GOALS[this.#goal] && this.lostOf(list).length === 0;
  }

  #look(): void {
    this.#clock.after(LOOK_MS, () => {
      this.#jobs = this.#jobs.filter(({ job }) => !job.isOver);
      if (this.#clock.nowMs >= this.#calmUntilMs) this.#act();
      this.#isDone = this.#goal === GOALS.length - 1 && this.#isAsWished();
      this.#look();
    });
  }

  #act(): void {
    if (this.#isAsWished()) {
      // Calm first, then the next goal.
      if (this.#isReached && this.#goal < GOALS.length - 1) this.#goal += 1;
      this.#isReached = !this.#isReached;
      if (this.#isReached)
        this.#calmUntilMs = this.#clock.nowMs + this.#clock.between(CALM_MS_MIN, CALM_MS_MAX);
      return;
    }
    const isSlow = this.#jobs.every(({ sinceMs }) => this.#clock.nowMs - sinceMs > PATIENCE_MS);
    if (isSlow) this.#startJob();
  }

  #startJob(): void {
    const idle = this.#hosts.processes.filter(
      (process) => process.isVoter && !this.#jobs.some(({ job }) => job.process === process),
    );
    const process = this.#clock.pick(idle);
    if (process === undefined) return;
    this.#serial += 1;
    const job = new VoterJob({
      clock: this.#clock,
      process,
      serial: this.#serial,
      wish: (list) => this.#wish(list),
      onSettle: (list) => this.#settling(list, process),
      onSettled: (list) => this.#settled(list, process),
    });
    this.#jobs.push({ job, sinceMs: this.#clock.nowMs });
  }

  /** Null: it is as it should be. */
  #wish(list: VoterList): VoterChange | null {
    const goal = GOALS[this.#goal] ?? 0;
    const [lost] = this.lostOf(list);
    if (lost !== undefined && list.voters.length > 1) return { kind: "remove", id: lost.id };
    if (list.voters.length > goal) {
      const voter = this.#clock.pick(list.voters);
      return voter === undefined ? null : { kind: "remove", id: voter.id };
    }
    if (list.voters.length === goal) return null;
    const others = Array.from({ length: this.#hosts.count }, (_, host) => host).filter(
      (host) => !list.voters.some(({ owner }) => hostOf(owner) === host),
    );
    const host = this.#clock.pick(others);
    return host === undefined ? null : { kind: "add", voter: voterOfHost(host, this.#hosts.voterAt(host)) };
  }

  #settling(list: VoterList, process: Process): void {
    if (!this.#settlers.has(list.number)) this.#settlers.set(list.number, process);
    this.#options.onSettle(process.self);
  }

  #settled(list: VoterList, process: Process): void {
    if (this.#settlers.get(list.number) !== process) this.#clock.counts.settlesTakenOver += 1;
  }
}
