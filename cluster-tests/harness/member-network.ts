// Member network: how members reach each other, and what may be taken from that. By forwarders over loopback, which any user
// may run (forwarder-network.ts), or by network namespaces of the run's own, which drop real packets (lab-network.ts).

/** `cut`: connections end, and new ones at once. `hole`: all is lost without a word. */
export type PartState = "cut" | "hole";
/** `in`: what others send does not reach it; `out`: what it sends reaches nobody. */
export type Direction = "in" | "out";

/** What a member is started with. Multiaddrs. */
export interface Place {
  readonly listen: string;
  readonly seeds: readonly string[];
  readonly advertise: readonly string[];
  /** What its command line begins with. */
  readonly prefix: readonly string[];
}

export interface MemberNetwork {
  place(name: string): Place;
  /** Takes all links between the two sides; all others are as they were. */
  part(left: readonly string[], right: readonly string[], state: PartState): void;
  /** One member, from or to all others. */
  cutOneWay(name: string, direction: Direction): void;
  /** All that was taken is back. */
  heal(): void;
  dispose(): Promise<void>;
  /** What must not outlive our process is gone when it returns. */
  abandon(): void;
}
