// Lab network: each member at an address of its own in a network namespace, found by three seeds, as on real machines.

import type { Direction, MemberNetwork, PartState, Place } from "./member-network.ts";
import { NetLab } from "./net-lab.ts";

const PORT = 7946;
const SEEDS = 3;

export class LabNetwork implements MemberNetwork {
  readonly lab: NetLab;
  readonly #names: readonly string[];

  constructor(names: readonly string[]) {
    this.#names = names;
    this.lab = NetLab.create(names);
  }

  place(name: string): Place {
    const addressOf = (member: string) => `/ip4/${this.lab.address(member)}/tcp/${PORT}`;
    const own = addressOf(name);
    const seeds = this.#names.slice(0, SEEDS).map(addressOf);
    return { listen: own, seeds, advertise: [own], prefix: this.lab.prefix(name) };
  }

  /** Packets are dropped: who is connected finds out by itself. */
  part(left: readonly string[], right: readonly string[], _state: PartState): void {
    this.lab.part(left, right);
  }

  cutOneWay(name: string, direction: Direction): void {
    this.lab.cut(name, direction);
  }

  heal(): void {
    this.lab.heal();
  }

  async dispose(): Promise<void> {
    this.abandon();
  }

  abandon(): void {
    this.lab.dispose();
  }
}
