// One seed: chaos until the voters were 1, 3, 5 and 3 again; then it heals, all goes on to its end, and every register is read, with
// certificates that every host must believe. Same seed, same bytes.

import { REGISTER_READ_MS } from "../../limits.ts";
import { checkCertificate, type RegisterName } from "../../register/certificate.ts";
import type { CommittedValue } from "../../register/proposer-face.ts";
import { describeValue } from "../../register/testing/describe.ts";
import { describeVoterList } from "../../register/voter-list.ts";
import { describeNotLinearizable, findNotLinearizable } from "../linearizability.ts";
import type { BreakName } from "./breaks.ts";
import { Clients } from "./clients.ts";
import { Clock, type Trace } from "./clock.ts";
import type { Counts } from "./counts.ts";
import { CLUSTER, rootCrypto } from "./crypto.ts";
import { Faults } from "./faults.ts";
import { Hosts } from "./hosts.ts";
import type { Violation } from "./judge.ts";
import { Operator } from "./operator.ts";
import type { Process } from "./process.ts";

const HOSTS = 7;
/** Seeds: in one of so many messages go through the codec. */
const CODEC_EVERY = 4;
/** Of virtual time: chaos ends then, though the voters are not yet as they should be in the end. */
const CHAOS_MS_MAX = 30_000;
/** After it all must be well within this: some changes of voters, each with all registers. */
const HEALED_WITHIN_MS = 60_000;
const READS_AT_ONCE = 32;

export interface SeedOptions {
  readonly seed: number;
  /** Registers of apps. */
  readonly apps: number;
  readonly broken: BreakName | null;
}

export interface SeedResult {
  readonly seed: number;
  readonly counts: Counts;
  readonly events: number;
  readonly virtualMs: number;
  /** When chaos ended. */
  readonly healedAtMs: number;
  readonly violations: readonly Violation[];
}

export function runSeed({ seed, apps, broken }: SeedOptions, trace: Trace | null = null): SeedResult {
  const clock = new Clock({ seed, broken, trace });
  const run = new Run(clock, { apps, usesCodec: seed % CODEC_EVERY === 0 });
  const healedAtMs = run.run();
  const { events, counts, nowMs } = run.clock;
  return { seed, counts, events, virtualMs: nowMs, healedAtMs, violations: run.hosts.judge.violations };
}

class Run {
  readonly clock: Clock;
  readonly hosts: Hosts;
  readonly #clients: Clients;
  readonly #operator: Operator;
  readonly #faults: Faults;

  constructor(clock: Clock, { apps, usesCodec }: { readonly apps: number; readonly usesCodec: boolean }) {
    this.clock = clock;
    this.hosts = new Hosts(clock, { count: HOSTS, usesCodec });
    this.#faults = new Faults(clock, this.hosts);
    this.#clients = new Clients(clock, this.hosts, apps);
    this.#operator = new Operator(clock, this.hosts, { onSettle: (host) => this.#faults.onSettle(host) });
    this.#faults.start(this.#operator);
  }

  /** When it healed. */
  run(): number {
    const { clock } = this;
    this.#until(CHAOS_MS_MAX, () => this.#operator.isDone);
    const healedAtMs = clock.nowMs;
    if (!this.#hasFailed) this.#heal();
    if (!this.#hasFailed) this.#readAll();
    this.#judgeHistory();
    return healedAtMs;
  }

  get #hasFailed(): boolean {
    return this.hosts.judge.violations.length > 0;
  }

  #until(withinMs: number, isDone: () => boolean): boolean {
    return this.clock.run(this.clock.nowMs + withinMs, () => this.#hasFailed || isDone());
  }

  #heal(): void {
    this.#faults.heal();
    const isWell = (): boolean => this.#operator.isDone && this.#isKnownToAll();
    if (!this.#until(HEALED_WITHIN_MS, isWell)) {
      this.hosts.judge.fail(
        "settles",
        null,
        `${HEALED_WITHIN_MS / 1_000} s after the heal: ${this.#operator.describe()}; ${this.#ignorant()}`,
      );
      return;
    }
    this.#clients.stop();
    if (!this.#until(HEALED_WITHIN_MS, () => this.#clients.isIdle))
      this.hosts.judge.fail("settles", null, "an operation of a client does not end");
  }

  #isKnownToAll(): boolean {
    return this.#behind.length === 0;
  }

  /** Hosts that do not know the newest list, or that it is settled. */
  get #behind(): readonly Process[] {
    const { newestList: newest } = this.hosts.judge;
    return this.hosts.processes.filter(
      ({ directory: { list } }) => list?.number !== newest.number || list.isSettled !== newest.isSettled,
    );
  }

  #ignorant(): string {
    const behind = this.#behind.map(
      ({ self, directory: { list } }) => `host-${self} goes by list ${list?.number ?? 0}`,
    );
    return behind.length === 0 ? "all know it" : behind.join(", ");
  }

  // --- no lost commit

  #readAll(): void {
    const left = [...this.hosts.judge.registers];
    let underWay = 0;
    const next = (): void => {
      const register = left.shift();
      const process = this.clock.pick(this.hosts.processes.filter(({ isVoter }) => isVoter));
      if (register === undefined || process === undefined) return;
      underWay += 1;
      const asked = { register, operation: { kind: "read" }, withinMs: REGISTER_READ_MS } as const;
      process.operations.operate(asked, ({ outcome }) => {
        underWay -= 1;
        if (outcome.kind === "read") this.#judgeLast(register, outcome.current);
        // It may have waited in line behind one that is backing off.
        else left.push(register);
        next();
      });
    };
    for (let at = 0; at < READS_AT_ONCE; at += 1) next();
    this.#until(HEALED_WITHIN_MS, () => underWay === 0 && left.length === 0);
    if (!this.#hasFailed && underWay + left.length > 0)
      this.#fail(left[0] ?? null, `${underWay + left.length} registers cannot be read at a majority`);
  }

  #judgeLast(register: RegisterName, current: CommittedValue | null): void {
    const highest = this.hosts.judge.highest(register);
    const shown = current === null ? "nothing" : describeValue(current.value);
    if ((current?.value.epoch ?? 0) !== highest)
      this.#fail(register, `a majority shows ${shown}, and epoch ${highest} was committed`);
    if (current === null) return;
    for (const { self, directory } of this.hosts.processes) {
      const { list } = directory;
      this.clock.counts.certificates += 1;
      const checked =
        list === undefined
          ? null
          : checkCertificate({ cluster: CLUSTER, register, ...current }, list, rootCrypto);
      if (checked?.ok !== true)
        this.#fail(
          register,
          `host-${self} does not believe the certificate of ${shown}: ${checked?.error}, it goes by ${list === undefined ? "no list" : describeVoterList(list)}`,
        );
    }
  }

  #fail(register: RegisterName | null, text: string): void {
    this.hosts.judge.fail("no-lost-commit", register, text);
  }

  /** By what clients saw alone. */
  #judgeHistory(): void {
    const fault = findNotLinearizable(this.#clients.history);
    if (fault !== null) this.hosts.judge.fail("linearizable", fault.register, describeNotLinearizable(fault));
  }
}
