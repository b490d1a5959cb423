// Deliveries: when each tracked write came to each member. Who must get it is fixed when it is written; who never did is
// lost, not skipped. What came late, or never, is explained only by a fault that touched its owner or that very member.

import type { Cause } from "./cluster.ts";
import type { Slot } from "./ledger.ts";
import type { SimMember } from "./sim-member.ts";

const NEVER = Number.POSITIVE_INFINITY;
const NOT_EXPECTED = -1;

interface Tracked {
  readonly origin: SimMember;
  readonly slot: Slot;
  /** Its write in the slot; any later one delivers it too. */
  readonly index: number;
  readonly atMs: number;
  /** By member: virtual time, `NEVER` or `NOT_EXPECTED`. */
  readonly deliveredAtMs: Float64Array;
}

export type DeliveryPath = Exclude<Cause["path"], "own">;

/** Of one seed; milliseconds. */
export interface DeliveryFigures {
  /** Of each write, until the last member that no fault touched had it; not of one that has no such member. */
  readonly lastMs: readonly number[];
  /** Of each delivery to a member that no fault touched, rounded up: how many took so long. */
  readonly eachMs: readonly number[];
  readonly writes: number;
  readonly expected: number;
  readonly byPath: Readonly<Record<DeliveryPath, number>>;
  /** By hops from the origin, of pushes. */
  readonly byHops: readonly number[];
  /** Later than the bound or never, and a fault touched owner or member. */
  readonly explained: number;
  /** The others: each is a violation of `prompt`. */
  readonly unexplained: readonly string[];
}

export class Deliveries {
  readonly #members: readonly SimMember[];
  readonly #tracked: Tracked[] = [];
  readonly #bySlot = new Map<Slot, Tracked[]>();
  readonly #byPath = { push: 0, pull: 0, "anti-entropy": 0 };
  readonly #byHops: number[] = [];

  constructor(members: readonly SimMember[]) {
    this.#members = members;
  }

  /** The newest write of `slot`, just done by `origin`. Expected at all that are up now. */
  track(origin: SimMember, slot: Slot, atMs: number): void {
    const deliveredAtMs = Float64Array.from(this.#members, (member) => (member.isUp ? NEVER : NOT_EXPECTED));
    deliveredAtMs[origin.index] = NOT_EXPECTED;
    const tracked = { origin, slot, index: slot.writes.length - 1, atMs, deliveredAtMs };
    this.#tracked.push(tracked);
    const same = this.#bySlot.get(slot) ?? [];
    same.push(tracked);
    this.#bySlot.set(slot, same);
  }

  delivered(member: SimMember, slot: Slot, index: number, cause: Cause, atMs: number): void {
    const tracked = this.#bySlot.get(slot) ?? [];
    for (let at = tracked.length - 1; at >= 0; at -= 1) {
      const write = tracked[at] as Tracked;
      // One that it was not expected to get, since it was down, says nothing of those before.
      if (write.index > index || write.deliveredAtMs[member.index] === NOT_EXPECTED) continue;
      if (write.deliveredAtMs[member.index] !== NEVER) return;
      write.deliveredAtMs[member.index] = atMs;
      if (cause.path === "own") continue;
      this.#byPath[cause.path] += 1;
      if (cause.path === "push") this.#byHops[cause.hops] = (this.#byHops[cause.hops] ?? 0) + 1;
    }
  }

  /** `boundMs`: within it a member that no fault touched must have it. */
  figures(boundMs: number): DeliveryFigures {
    const lastMs: number[] = [];
    const eachMs: number[] = [];
    const unexplained: string[] = [];
    let [expected, explained] = [0, 0];
    for (const write of this.#tracked) {
      let slowestMs: number | undefined;
      for (const member of this.#members) {
        const atMs = write.deliveredAtMs[member.index] ?? NOT_EXPECTED;
        if (atMs === NOT_EXPECTED) continue;
        expected += 1;
        const tookMs = atMs - write.atMs;
        const untilMs = Math.min(atMs, write.atMs + boundMs);
        const isTouched =
          write.origin.wasTouched(write.atMs, untilMs) || member.wasTouched(write.atMs, untilMs);
        if (isTouched) {
          explained += tookMs > boundMs ? 1 : 0;
          continue;
        }
        slowestMs = Math.max(slowestMs ?? 0, tookMs);
        if (tookMs !== NEVER) eachMs[Math.ceil(tookMs)] = (eachMs[Math.ceil(tookMs)] ?? 0) + 1;
        if (tookMs > boundMs) unexplained.push(describeMiss(write, member, tookMs));
      }
      if (slowestMs !== undefined) lastMs.push(slowestMs);
    }
    const { length: writes } = this.#tracked;
    const byHops = Array.from(this.#byHops, (count) => count ?? 0);
    const each = Array.from(eachMs, (count) => count ?? 0);
    return { lastMs, eachMs: each, writes, expected, byPath: this.#byPath, byHops, explained, unexplained };
  }
}

function describeMiss({ origin, slot, atMs }: Tracked, member: SimMember, tookMs: number): string {
  const late = tookMs === NEVER ? "never" : `after ${tookMs.toFixed(1)} ms`;
  return `${slot.key} of ${origin.name}, written at ${atMs.toFixed(1)}, came to ${member.name} ${late}`;
}
