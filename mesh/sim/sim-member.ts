// SimMember: one member's machine: its process (replica and overlay), its disk, its clock, and what disturbs it.

import { type OwnerId, ownerId } from "../core/ids.ts";
import type { GossipMessage } from "../core/message.ts";
import type { Replica } from "../core/replica.ts";
import type { Overlay } from "./overlay.ts";

/** Length of a peer id in base58, so that messages have the right size. */
const OWNER_CHARS = 52;

/** A time in which a fault touched a member: what came late or never then is explained. */
interface Touched {
  readonly fromMs: number;
  readonly toMs: number;
}

export class SimMember {
  readonly index: number;
  readonly owner: OwnerId;
  /** As traces and violations name it: `h0042`. */
  readonly name: string;
  /** Undefined while it is down. */
  replica: Replica | undefined = undefined;
  overlay: Overlay<GossipMessage> | undefined = undefined;
  /** Grows with each start: what was addressed to an earlier one is late. */
  life: number = 0;
  /** The highest incarnation on its disk; 0: the disk is new. */
  incarnationOnDisk: number = 0;
  /** Added to virtual time by its wall clock. */
  clockOffsetMs: number = 0;
  /** Its wall clock begins at 0 with each start: no battery, no NTP yet. */
  hasNoClock: boolean = false;
  /** What it wants to be true of its own entries; it survives a restart, as a VM does. */
  readonly wanted: Map<string, Uint8Array> = new Map();
  isAnnounced: boolean = false;
  /** Its process is stopped until then. */
  pausedUntilMs: number = 0;
  /** Each event takes its process so long; 0: no time. */
  slowMs: number = 0;
  busyUntilMs: number = 0;
  /** Members that it is connected to when all is well. */
  neighbours: readonly number[] = [];
  /** Rounds of this life that were pulls. */
  readonly pulls: Set<number> = new Set();
  readonly touched: Touched[] = [];
  bytesSent: number = 0;
  /** What it would not take: over a bound, or not what its owner signed. */
  refusals: number = 0;

  constructor(index: number) {
    this.index = index;
    this.name = `h${String(index).padStart(4, "0")}`;
    this.owner = ownerId(this.name.padStart(OWNER_CHARS, "12D3KooWSim"));
  }

  get isUp(): boolean {
    return this.replica !== undefined;
  }

  touch(fromMs: number, toMs: number): void {
    this.touched.push({ fromMs, toMs });
  }

  wasTouched(fromMs: number, toMs: number): boolean {
    return this.touched.some((touched) => touched.fromMs <= toMs && touched.toMs >= fromMs);
  }
}
