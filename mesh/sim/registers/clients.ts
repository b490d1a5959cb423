// Clients: swap and read registers at voters, one operation after the other each, most on a few hot registers so that they meet. Each
// expects what was last shown to it; after an operation whose outcome it does not know it reads.

import { REGISTER_READ_MS, REGISTER_SWAP_MS } from "../../limits.ts";
import type { RegisterName } from "../../register/certificate.ts";
import type { CommittedValue, Operation, Outcome } from "../../register/proposer-face.ts";
import type { RegisterOperation, Shown } from "../linearizability.ts";
import type { Clock } from "./clock.ts";
import type { Hosts } from "./hosts.ts";
import type { Process } from "./process.ts";

const CLIENTS = 5;
const HOT_REGISTERS = 4;
const HOT_SHARE = 0.6;
const READ_SHARE = 0.3;
/** Between two operations of one client. */
const THINK_MS_MIN = 1;
const THINK_MS_MAX = 40;
/** Some give up long before an operation is due. */
const IMPATIENT_SHARE = 0.1;
const IMPATIENT_MS_MAX = 150;
/** Of those that look in vain for their voter. */
const MOVE_SHARE = 0.2;
/** Nobody is there who could be asked. */
const RETRY_MS = 50;

interface Call {
  readonly process: Process;
  readonly register: RegisterName;
  readonly operation: Extract<Operation, { kind: "read" | "swap" }>;
  readonly calledAt: number;
  readonly isInDoubt: boolean;
}

interface Client {
  readonly name: string;
  readonly at: number;
  /** Of registers that it knows. */
  readonly known: Map<RegisterName, number>;
  /** Those that it brings into being. */
  readonly births: RegisterName[];
  /** It does not know what became of its last swap: it reads, and swaps again. */
  doubt: RegisterName | null;
  /** Where it is. */
  home: number;
  call: Call | null;
  calls: number;
}

export class Clients {
  readonly history: RegisterOperation[] = [];
  readonly #clock: Clock;
  readonly #hosts: Hosts;
  readonly #registers: readonly RegisterName[];
  readonly #clients: readonly Client[];
  #isStopping = false;

  constructor(clock: Clock, hosts: Hosts, apps: number) {
    this.#clock = clock;
    this.#hosts = hosts;
    this.#registers = Array.from({ length: apps }, (_, at) => `app/a${at}`);
    this.#clients = Array.from({ length: CLIENTS }, (_, at) => ({
      name: `client ${at}`,
      at,
      known: new Map(),
      births: this.#registers.filter((_register, index) => index % CLIENTS === at),
      doubt: null,
      home: at,
      call: null,
      calls: 0,
    }));
    hosts.onCrash((process) => this.#crashed(process));
    for (const client of this.#clients) this.#think(client);
  }

  get registers(): readonly RegisterName[] {
    return this.#registers;
  }

  /** No more are begun. */
  stop(): void {
    this.#isStopping = true;
  }

  get isIdle(): boolean {
    return this.#clients.every(({ call }) => call === null);
  }

  #think(client: Client): void {
    this.#clock.after(this.#clock.between(THINK_MS_MIN, THINK_MS_MAX), () => this.#call(client));
  }

  #call(client: Client): void {
    if (this.#isStopping) return;
    const process = this.#processFor(client);
    if (process === undefined) {
      this.#clock.after(RETRY_MS, () => this.#call(client));
      return;
    }
    client.calls += 1;
    this.#clock.counts.operations += 1;
    const isInDoubt = client.doubt !== null;
    const { register, operation } = this.#choose(client);
    const call = { process, register, operation, isInDoubt, calledAt: this.#clock.nowMs };
    client.call = call;
    process.operations.operate(
      { register, operation, withinMs: this.#patienceMs(operation) },
      ({ outcome }) => {
        // It may have been told that the process is gone.
        if (client.call === call) this.#returned(client, call, outcome);
      },
    );
  }

  /** Each is at one voter; when that is gone it waits a while for it, or goes to another. */
  #processFor(client: Client): Process | undefined {
    const home = this.#hosts.process(client.home);
    if (home?.isVoter === true) return home;
    if (home === null && !this.#clock.chance(MOVE_SHARE)) return undefined;
    const process = this.#clock.pick(this.#hosts.processes.filter(({ isVoter }) => isVoter));
    client.home = process?.self ?? client.home;
    return process;
  }

  #choose(client: Client): Pick<Call, "register" | "operation"> {
    const { doubt } = client;
    client.doubt = null;
    const birth = doubt === null ? client.births.shift() : undefined;
    const register = doubt ?? birth ?? this.#pickRegister();
    const expectedEpoch = birth === undefined ? client.known.get(register) : 0;
    const isRead = birth === undefined && doubt === null && this.#clock.chance(READ_SHARE);
    if (expectedEpoch === undefined || isRead) return { register, operation: { kind: "read" } };
    // Never twice: its record tells which swap it was.
    const record = new TextEncoder().encode(`${client.at}-${client.calls}`);
    return { register, operation: { kind: "swap", expectedEpoch, record } };
  }

  #pickRegister(): RegisterName {
    const isHot = this.#clock.chance(HOT_SHARE);
    const register = this.#clock.pick(isHot ? this.#registers.slice(0, HOT_REGISTERS) : this.#registers);
    if (register === undefined) throw new Error("bug: there are no registers");
    return register;
  }

  #patienceMs({ kind }: Operation): number {
    if (this.#clock.chance(IMPATIENT_SHARE)) return this.#clock.between(1, IMPATIENT_MS_MAX);
    return kind === "read" ? REGISTER_READ_MS : REGISTER_SWAP_MS;
  }

  #crashed(process: Process): void {
    for (const client of this.#clients)
      if (client.call?.process === process) this.#returned(client, client.call, { kind: "unknown" });
  }

  #returned(client: Client, call: Call, outcome: Outcome): void {
    client.call = null;
    const { register } = call;
    const known = knownBy(outcome);
    if (known === undefined) client.known.delete(register);
    else client.known.set(register, known);
    const wasInDoubt = call.operation.kind === "read" && call.isInDoubt;
    if (outcome.kind === "unknown" || wasInDoubt) client.doubt = register;
    this.#count(call, outcome);
    this.history.push(this.#recordOf(client, call, outcome));
    this.#think(client);
  }

  #count({ operation: { kind } }: Call, outcome: Outcome): void {
    const { counts } = this.#clock;
    if (outcome.kind === "committed") counts.commits += 1;
    if (outcome.kind === "conflict") counts.conflicts += 1;
    if (outcome.kind === "read") counts.reads += 1;
    if (outcome.kind === "unknown" && kind === "swap") counts.unknowns += 1;
    if (outcome.kind === "unavailable" || outcome.kind === "refused") counts.failures += 1;
  }

  #recordOf({ name }: Client, { register, operation, calledAt }: Call, outcome: Outcome): RegisterOperation {
    const base = { register, client: name, calledAt, returnedAt: this.#clock.nowMs };
    if (operation.kind === "read") {
      const isShown = outcome.kind === "read";
      const result = isShown
        ? ({ kind: "ok", shown: shownOf(outcome.current) } as const)
        : ({ kind: "unknown" } as const);
      return { ...base, call: "read", outcome: result };
    }
    const { expectedEpoch, record } = operation;
    const value = new TextDecoder().decode(record);
    return { ...base, call: "swap", expectedEpoch, value, outcome: swapOutcome(outcome) };
  }
}

function swapOutcome(outcome: Outcome): Extract<RegisterOperation, { call: "swap" }>["outcome"] {
  switch (outcome.kind) {
    case "committed":
      return { kind: "ok" };
    case "conflict":
      return { kind: "conflict", shown: shownOf(outcome.current) };
    case "unavailable":
    case "refused":
      return { kind: "fail" };
    case "read":
    case "unknown":
      return { kind: "unknown" };
  }
}

function knownBy(outcome: Outcome): number | undefined {
  if (outcome.kind === "committed") return outcome.value.epoch;
  return "current" in outcome ? (outcome.current?.value.epoch ?? 0) : undefined;
}

function shownOf(current: CommittedValue | null): Shown | null {
  if (current === null) return null;
  return { epoch: current.value.epoch, value: new TextDecoder().decode(current.value.record) };
}
