// Process: one life of a host: the parts of mesh/register that it runs, over what was on its disk.

import type { VoterId } from "../../register/ballot.ts";
import type { RegisterName, Vote } from "../../register/certificate.ts";
import { VOTERS_REGISTER } from "../../register/settle.ts";
import type { VoterLink } from "../../register/voter-chain.ts";
import { type VoterList, voterOf } from "../../register/voter-list.ts";
import type { Clock } from "./clock.ts";
import { cryptoOf } from "./crypto.ts";
import { Directory } from "./directory.ts";
import { Disk, type Durable } from "./disk.ts";
import type { Judge } from "./judge.ts";
import type { Message, Send } from "./messages.ts";
import { ownerOf } from "./names.ts";
import { Operations } from "./operations.ts";
import { Seat } from "./seat.ts";

/** Between two looks at what some other host knows of voter lists. */
const LOOK_MS_MIN = 500;
const LOOK_MS_MAX = 1_500;

export interface ProcessDeps {
  readonly clock: Clock;
  readonly judge: Judge;
  readonly self: number;
  readonly hosts: number;
  readonly durable: Durable;
  readonly send: Send;
  readonly onPropose: () => void;
}

type Shown = Extract<Message, { kind: "shown" }>;

export class Process {
  readonly self: number;
  readonly directory: Directory;
  readonly operations: Operations;
  readonly #deps: ProcessDeps;
  readonly #disk: Disk;
  readonly #seat: Seat;
  #onShown: ((shown: Shown) => void) | null = null;
  #isUp = true;

  constructor(deps: ProcessDeps) {
    const { clock, judge, self, hosts, durable, onPropose } = deps;
    this.self = self;
    this.#deps = deps;
    const send: Send = (to, message) => this.send(to, message);
    const crypto = cryptoOf(ownerOf(self));
    const { voter } = durable;
    const onDurable = (register: RegisterName, vote: Vote): void => judge.durable(voter, register, vote);
    const onLeft = (register: RegisterName, vote: Vote): void => judge.left(voter, register, vote);
    const disk = new Disk(clock, durable, onDurable);
    const onRefused = (text: string): void =>
      judge.fail("one-register", VOTERS_REGISTER, `host-${self}: ${text}`);
    const directory = new Directory({ clock, self, hosts, send, onRefused });
    directory.restore(disk.links);
    this.#disk = disk;
    this.directory = directory;
    // Before the operations: a list is on its way to the disk before anything is asked under it.
    this.#seat = new Seat({ clock, self, disk, directory, crypto, send, onLeft });
    this.operations = new Operations({ clock, self, disk, directory, crypto, send, judge, onPropose });
    this.#look();
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  get voter(): VoterId {
    return this.#disk.voter;
  }

  /** As far as it knows. */
  get isVoter(): boolean {
    const list: VoterList | undefined = this.directory.list;
    return list !== undefined && voterOf(list, this.voter) !== undefined;
  }

  /** How the cluster begins: the first list, signed by the root key. */
  found(link: VoterLink): void {
    this.directory.learnOwn(link);
  }

  send(to: number, message: Message): void {
    if (this.#isUp) this.#deps.send(to, message);
  }

  /** Who asked last hears the answers. */
  onShown(listener: (shown: Shown) => void): void {
    this.#onShown = listener;
  }

  receive(message: Message, from: number): void {
    switch (message.kind) {
      case "ask":
        this.#seat.asked(message, from);
        return;
      case "answer":
        this.operations.answered(message, from);
        return;
      case "show":
        this.#seat.show(message, from);
        return;
      case "shown":
        this.#onShown?.(message);
        return;
      case "fetch":
        this.directory.answer(from);
        return;
      case "links":
        this.directory.receive(message, from);
        return;
      default:
        message satisfies never;
    }
  }

  /** It ends without warning. */
  crash(): void {
    const { clock, self } = this.#deps;
    this.#isUp = false;
    const lost = this.#disk.crash();
    const orphans = this.operations.stop();
    clock.counts.crashes += 1;
    clock.counts.orphans += orphans;
    if (lost !== null) clock.counts.unsyncedCrashes += 1;
    const unsynced = lost === null ? "nothing was unsynced" : `${lost.votes} votes were not on its disk yet`;
    clock.tell(null, () => `host-${self} CRASHES: ${unsynced}, ${orphans} operations under way`);
  }

  #look(): void {
    const { clock, hosts, self } = this.#deps;
    clock.after(clock.between(LOOK_MS_MIN, LOOK_MS_MAX), () => {
      if (!this.#isUp) return;
      const other = (self + 1 + Math.floor(clock.random() * (hosts - 1))) % hosts;
      this.directory.fetch(other);
      this.#look();
    });
  }
}
