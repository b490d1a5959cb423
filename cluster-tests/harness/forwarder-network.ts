// Forwarder network: each ordered pair of members has a forwarder of its own, which the first knows as a seed; what members
// advertise refuses, so that there is no other way.

import { LinkForwarder, type LinkState } from "./link-forwarder.ts";
import type { Direction, MemberNetwork, PartState, Place } from "./member-network.ts";

/** Port 9, discard: nobody listens there. */
const REFUSES = "/ip4/127.0.0.1/tcp/9";

export class ForwarderNetwork implements MemberNetwork {
  readonly #names: readonly string[];
  /** By `from>to`. */
  readonly #links = new Map<string, LinkForwarder>();

  /** `portOf`: where that member listens now; undefined: it does not run. */
  static async create(
    names: readonly string[],
    portOf: (name: string) => number | undefined,
  ): Promise<ForwarderNetwork> {
    const network = new ForwarderNetwork(names);
    for (const from of names) {
      for (const to of names) {
        if (from !== to) network.#links.set(`${from}>${to}`, await LinkForwarder.start(() => portOf(to)));
      }
    }
    return network;
  }

  private constructor(names: readonly string[]) {
    this.#names = names;
  }

  place(name: string): Place {
    const seeds = this.#names.flatMap((to) => this.#links.get(`${name}>${to}`)?.address ?? []);
    return { listen: "/ip4/127.0.0.1/tcp/0", seeds, advertise: [REFUSES], prefix: [] };
  }

  part(left: readonly string[], right: readonly string[], state: PartState): void {
    for (const one of left) {
      for (const other of right) {
        this.#become(one, other, state);
        this.#become(other, one, state);
      }
    }
  }

  cutOneWay(name: string, direction: Direction): void {
    for (const other of this.#names) {
      this.#become(name, other, direction === "in" ? "no-back" : "no-there");
      this.#become(other, name, direction === "in" ? "no-there" : "no-back");
    }
  }

  heal(): void {
    for (const link of this.#links.values()) link.become("open");
  }

  async dispose(): Promise<void> {
    await Promise.all([...this.#links.values()].map((link) => link.stop()));
  }

  abandon(): void {
    // Sockets go with the process.
  }

  #become(from: string, to: string, state: LinkState): void {
    this.#links.get(`${from}>${to}`)?.become(state);
  }
}
