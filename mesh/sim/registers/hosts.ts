// Hosts: the machines of a run, their disks, and the processes that come and go on them.

import type { VoterId } from "../../register/ballot.ts";
import { rootLink, rootStatement } from "../../register/voter-chain.ts";
import type { VoterList } from "../../register/voter-list.ts";
import type { Clock } from "./clock.ts";
import { CLUSTER, rootCrypto } from "./crypto.ts";
import { type Durable, emptyDisk } from "./disk.ts";
import { Judge } from "./judge.ts";
import { type Message, throughCodec } from "./messages.ts";
import { voterIdOf, voterOfHost } from "./names.ts";
import { Network } from "./network.ts";
import { Process } from "./process.ts";

interface Host {
  durable: Durable;
  process: Process | null;
  /** Until then it hears nothing of voter lists. */
  deafUntilMs: number;
}

export interface HostsOptions {
  readonly count: number;
  /** Questions and answers are encoded and decoded on their way. */
  readonly usesCodec: boolean;
}

export class Hosts {
  readonly network: Network;
  readonly judge: Judge;
  readonly #clock: Clock;
  readonly #usesCodec: boolean;
  readonly #hosts: readonly Host[];
  readonly #listeners: ((process: Process) => void)[] = [];
  #onPropose: (host: number) => void = () => {};
  #disks: number;

  /** The first is the only voter. */
  constructor(clock: Clock, { count, usesCodec }: HostsOptions) {
    this.#clock = clock;
    this.#usesCodec = usesCodec;
    this.network = new Network(clock, count);
    const first: VoterList = { number: 1, isSettled: true, voters: [voterOfHost(0, voterIdOf(0))] };
    this.judge = new Judge(clock, first);
    this.#hosts = Array.from({ length: count }, (_, at) => ({
      durable: emptyDisk(voterIdOf(at)),
      process: null,
      deafUntilMs: 0,
    }));
    this.#disks = count;
    for (let at = 0; at < count; at += 1) this.start(at);
    const sign = (encoded: Uint8Array): Uint8Array => rootCrypto.sign(rootStatement(CLUSTER, encoded));
    this.process(0)?.found(rootLink(first, sign));
  }

  get count(): number {
    return this.#hosts.length;
  }

  /** Null: it is down. */
  process(host: number): Process | null {
    return this.#hosts[host]?.process ?? null;
  }

  get processes(): readonly Process[] {
    return this.#hosts.flatMap(({ process }) => (process === null ? [] : [process]));
  }

  /** Of the disk that it has now. */
  voterAt(host: number): VoterId {
    return this.#host(host).durable.voter;
  }

  start(host: number): void {
    const machine = this.#host(host);
    if (machine.process !== null) return;
    this.#clock.tell(null, () => `host-${host} starts`);
    machine.process = new Process({
      clock: this.#clock,
      judge: this.judge,
      self: host,
      hosts: this.count,
      durable: machine.durable,
      onPropose: () => this.#onPropose(host),
      send: (to, message) => this.network.send(host, to, () => this.#deliver(message, host, to)),
    });
  }

  /** Gossip is another way than that of questions and answers: one may be stuck, and the other not. */
  deafen(host: number, forMs: number): void {
    this.#host(host).deafUntilMs = this.#clock.nowMs + forMs;
  }

  /** Told of each process that crashed. */
  onCrash(listener: (process: Process) => void): void {
    this.#listeners.push(listener);
  }

  /** A proposer at that host is about to ask others to accept something. */
  onPropose(listener: (host: number) => void): void {
    this.#onPropose = listener;
  }

  crash(host: number, downMs: number): void {
    const machine = this.#host(host);
    const { process } = machine;
    if (process === null) return;
    machine.process = null;
    process.crash();
    for (const listener of this.#listeners) listener(process);
    this.#clock.after(downMs, () => this.start(host));
  }

  /** What it had is gone: it is another voter from here on, unless nobody heeds that. */
  loseDisk(host: number, downMs: number): void {
    this.crash(host, downMs);
    const machine = this.#host(host);
    const old = machine.durable.voter;
    const id = this.#clock.isBroken("lost-disk") ? old : voterIdOf(this.#disks);
    this.#disks += 1;
    machine.durable = emptyDisk(id);
    this.#clock.counts.lostDisks += 1;
    this.#clock.tell(
      null,
      () => `host-${host} LOSES ITS DISK: voter ${old.slice(-2)} comes back as ${id.slice(-2)}`,
    );
  }

  /** Syncs take so many times as long, until then. */
  slowDisk(host: number, slowness: number, forMs: number): void {
    const { durable } = this.#host(host);
    durable.slowness = slowness;
    this.#clock.after(forMs, () => {
      durable.slowness = 1;
    });
  }

  #deliver(message: Message, from: number, to: number): void {
    const { process, deafUntilMs } = this.#host(to);
    if (message.kind === "links" && this.#clock.nowMs < deafUntilMs) this.#clock.counts.lost += 1;
    else process?.receive(this.#usesCodec ? throughCodec(message) : message, from);
  }

  #host(host: number): Host {
    const found = this.#hosts[host];
    if (found === undefined) throw new Error(`bug: no host ${host}`);
    return found;
  }
}
