// Register faults: five hosts, three voters, three clients that swap and read all the time, and a loop that kills voters, one or all
// at once, and loses their disks. At the end the whole history is judged.

import { messageOf } from "../../mesh/index.ts";
import type { RegisterOperation, Shown } from "../../mesh/sim/linearizability.ts";
import { seededRandom } from "../../mesh/sim/seeded-random.ts";
import { type ClientCounts, RegisterClients } from "./register-clients.ts";
import { judge, LongestGap, operationOf } from "./register-history.ts";
import type { RegisterProcess } from "./register-process.ts";
import { RegisterProcesses } from "./register-processes.ts";

const HOSTS = ["host-1", "host-2", "host-3", "host-4", "host-5"];
const VOTERS = HOSTS.slice(0, 3);
const CLIENTS = 3;
const APPS = Array.from({ length: 8 }, (_, at) => `app-${at + 1}`);

/** Of all faults; the others kill one voter. */
const KILL_ALL_SHARE = 0.2;
/** Of faults of one voter while no lost disk is being made good. */
const LOSE_DISK_SHARE = 0.5;
/** Commits between one fault and the next, at most: at any moment of an operation, of a start, of a change of voters. */
const COMMITS_BETWEEN_MAX = 60;
/** Commits that a killed voter misses, at most. */
const COMMITS_MISSED_MAX = 20;
/** Operations between two tries to change the voters: with whoever was killed they fail at once, or after some seconds. */
const OPERATIONS_BETWEEN_TRIES = 5;

export interface RegisterFaultsOptions {
  readonly seed: number;
  /** Whether there were enough. */
  readonly isOver: (soFar: { readonly faults: number; readonly elapsedMs: number }) => boolean;
  /** Each fault and each change of voters. */
  readonly say: (line: string) => void;
}

export interface RegisterFaultsReport extends ClientCounts {
  readonly elapsedMs: number;
  /** Processes. */
  readonly kills: number;
  /** Times that all voters were killed at once. */
  readonly killsOfAll: number;
  readonly disksLost: number;
  /** Voters that were removed or added. */
  readonly voterChanges: number;
  /** Without a commit while a majority of voters ran. */
  readonly longestGapMs: number;
  /** What is wrong; empty: nothing. */
  readonly faults: readonly string[];
}

export async function runRegisterFaults(options: RegisterFaultsOptions): Promise<RegisterFaultsReport> {
  const cluster = await RegisterProcesses.create(HOSTS);
  try {
    await cluster.startAll();
    await cluster.nameVoters(VOTERS);
    const run = new FaultRun(cluster, options);
    return await run.run().catch((error: unknown) => {
      throw new Error(`${messageOf(error)}\n${run.describe()}`);
    });
  } finally {
    await cluster.dispose();
  }
}

class FaultRun {
  readonly #cluster: RegisterProcesses;
  readonly #options: RegisterFaultsOptions;
  readonly #random: () => number;
  readonly #clients: RegisterClients;
  readonly #gap = new LongestGap();
  readonly #begunUs = nowUs();
  #operations = 0;
  #commits = 0;
  #kills = 0;
  #killsOfAll = 0;
  #disksLost = 0;
  /** Of the last disk that was lost. */
  #repair: Promise<void> = Promise.resolve();
  #isRepairing = false;

  constructor(cluster: RegisterProcesses, options: RegisterFaultsOptions) {
    this.#cluster = cluster;
    this.#options = options;
    this.#random = seededRandom(options.seed);
    // Its own: how often clients draw is the machine's to say, and must not change the faults.
    const random = seededRandom(options.seed + 1);
    this.#clients = new RegisterClients(cluster, {
      apps: APPS,
      random,
      onOperation: (operation) => this.#happened(operation),
    });
  }

  async run(): Promise<RegisterFaultsReport> {
    const unsubscribe = this.#cluster.onChange(() => this.#gap.possible(this.#cluster.hasMajority, nowUs()));
    this.#gap.possible(this.#cluster.hasMajority, nowUs());
    await Promise.all([this.#clients.run(CLIENTS), this.#faultsToTheEnd()]);
    unsubscribe();
    const elapsedMs = this.#elapsedMs;
    const { ends, reads } = await this.#readAll();
    const { history, counts } = this.#clients;
    return {
      ...counts,
      elapsedMs,
      kills: this.#kills,
      killsOfAll: this.#killsOfAll,
      disksLost: this.#disksLost,
      // The first was number 1, and each change is the next.
      voterChanges: (this.#cluster.list?.number ?? 1) - 1,
      longestGapMs: this.#gap.ms,
      faults: judge([...history, ...reads], ends),
    };
  }

  describe(): string {
    return this.#clients.describe();
  }

  get #elapsedMs(): number {
    return (nowUs() - this.#begunUs) / 1_000;
  }

  // --- faults

  async #faultsToTheEnd(): Promise<void> {
    for (let faults = 0; !this.#options.isOver({ faults, elapsedMs: this.#elapsedMs }); faults += 1) {
      await this.#untilCommits(1 + this.#below(COMMITS_BETWEEN_MAX));
      await this.#fault();
    }
    await this.#repair;
    await this.#untilCommits(1);
    this.#clients.stop();
  }

  async #fault(): Promise<void> {
    // All of them each time: what one fault needs must not change the next.
    const draws = { all: this.#random(), who: this.#random(), disk: this.#random(), whole: this.#random() };
    const [missed, isSame] = [this.#below(COMMITS_MISSED_MAX), this.#random() < 0.5];
    const names = (this.#cluster.list?.voters ?? []).map(({ name }) => name);
    const running = names.filter((name) => this.#cluster.isRunning(name));
    if (draws.all < KILL_ALL_SHARE) {
      this.#killsOfAll += 1;
      await this.#kill(running);
      await this.#start(running);
      return;
    }
    const name = running[Math.floor(draws.who * running.length)];
    if (name === undefined) return;
    const { seat } = this.#cluster.member(name).voters;
    const isLost = draws.disk < LOSE_DISK_SHARE && !this.#isRepairing && seat !== null;
    await this.#kill([name]);
    await this.#untilMissed(missed);
    if (isLost) this.#loseDisk(name, seat, draws.whole < 0.5);
    await this.#start([name]);
    if (!isLost) return;
    // In its place the same host, or another one.
    const spare = HOSTS.find((host) => !names.includes(host)) ?? name;
    this.#repair = this.#replace(seat, isSame ? name : spare);
    // Whoever waits for it hears of it.
    this.#repair.catch(() => undefined);
  }

  async #kill(names: readonly string[]): Promise<void> {
    this.#options.say(`${this.#at} kill ${names.join(" ")}`);
    this.#kills += names.length;
    await Promise.all(names.map((name) => this.#cluster.kill(name)));
  }

  async #start(names: readonly string[]): Promise<void> {
    await Promise.all(names.map((name) => this.#cluster.start(name)));
    this.#options.say(`${this.#at} started ${names.join(" ")}`);
  }

  #loseDisk(name: string, seat: string, isWhole: boolean): void {
    this.#disksLost += 1;
    this.#options.say(`${this.#at} ${name} lost ${isWhole ? "its disk" : "its voter's memory"} (${seat})`);
    if (isWhole) this.#cluster.wipe(name);
    else this.#cluster.wipeVoter(name);
  }

  /** Removes the voter and adds a new one, whoever is killed meanwhile, and waits until its list is settled. */
  async #replace(lost: string, successor: string): Promise<void> {
    this.#isRepairing = true;
    let removedIn = Number.POSITIVE_INFINITY;
    for (;;) {
      const { list, voting } = this.#cluster;
      const [at] = voting;
      const isRemoved = list?.voters.every(({ id }) => id !== lost) === true;
      if (isRemoved) removedIn = Math.min(removedIn, list?.number ?? 0);
      else if ((list?.number ?? 0) > removedIn) throw new Error(`${lost} forgot all and is a voter again`);
      const isAdded = list?.voters.some(({ name }) => name === successor) === true;
      if (isRemoved && isAdded && list?.isSettled === true) break;
      if (at !== undefined && list?.isSettled === true && (!isRemoved || !isAdded)) {
        await this.#change(at, isRemoved ? { add: successor } : { remove: lost });
      } else {
        await this.#untilOperations(OPERATIONS_BETWEEN_TRIES);
      }
    }
    this.#isRepairing = false;
    this.#options.say(`${this.#at} ${successor} is a voter in the place of ${lost}`);
  }

  async #change(
    at: RegisterProcess,
    change: { readonly add: string } | { readonly remove: string },
  ): Promise<void> {
    try {
      await ("add" in change
        ? at.ask("add", { voter: change.add })
        : at.ask("remove", { id: change.remove }));
    } catch (error) {
      this.#options.say(`${this.#at} ${at.name} ${JSON.stringify(change)}: ${messageOf(error)}`);
      await this.#untilOperations(OPERATIONS_BETWEEN_TRIES);
    }
  }

  // --- the end

  /** Every register, at a majority, from every voter. */
  async #readAll(): Promise<{
    readonly ends: ReadonlyMap<string, Shown | null>;
    readonly reads: readonly RegisterOperation[];
  }> {
    const { voting } = this.#cluster;
    const reads: RegisterOperation[] = [];
    const ends = new Map<string, Shown | null>();
    for (const register of APPS) {
      for (const member of voting) {
        const timed = await member.ask("read", { app: register });
        const read = operationOf({ client: `end at ${member.name}`, register, swap: null }, nowUs(), timed);
        if (read.call !== "read" || read.outcome.kind !== "ok")
          throw new Error(`${register} at ${member.name}: ${JSON.stringify(timed.outcome)}`);
        reads.push(read);
        const { shown } = read.outcome;
        const before = ends.get(register);
        if (before !== undefined && JSON.stringify(before) !== JSON.stringify(shown))
          throw new Error(
            `${register}: ${JSON.stringify(before)}, and at ${member.name} ${JSON.stringify(shown)}`,
          );
        ends.set(register, shown);
      }
    }
    return { ends, reads };
  }

  // --- waits

  #happened({ call, outcome }: RegisterOperation): void {
    this.#operations += 1;
    if (call === "swap" && outcome.kind === "ok") {
      this.#commits += 1;
      this.#gap.committed(nowUs());
    }
    this.#cluster.look();
  }

  #untilCommits(more: number): Promise<void> {
    const enough = this.#commits + more;
    return this.#cluster.until(`${more} commits`, () => this.#commits >= enough);
  }

  /** Or until those who are left are no majority. */
  #untilMissed(more: number): Promise<void> {
    const enough = this.#commits + more;
    return this.#cluster.until(
      `${more} commits without it`,
      () => this.#commits >= enough || !this.#cluster.hasMajority,
    );
  }

  #untilOperations(more: number): Promise<void> {
    const enough = this.#operations + more;
    return this.#cluster.until(`${more} operations`, () => this.#operations >= enough);
  }

  #below(max: number): number {
    return Math.floor(this.#random() * max);
  }

  get #at(): string {
    return `${(this.#elapsedMs / 1_000).toFixed(1)} s`;
  }
}

function nowUs(): number {
  return Number(process.hrtime.bigint()) / 1_000;
}
