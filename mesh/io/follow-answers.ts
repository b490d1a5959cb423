// Follow answers: tells an owner, once it asked, of each step of its state that came into force here: gathered for a while, and
// each with its age, so that the gathering is no part of what the owner measures. Who asked is told until it is lost.

import { type ZodType, z } from "zod";
import type { OwnerId } from "../core/ids.ts";
import { compareStarts, type Start, type Version } from "../core/version.ts";
import { CONVERGENCE_DEADLINE_MS, FOLLOW_REPORT_MS, FOLLOW_STEPS_MAX } from "../limits.ts";
import type { Mesh } from "../mesh.ts";
import { decodeRecord, encodeRecord } from "../records/record-codec.ts";
import { countShape } from "../records/shapes.ts";

/** Tell topics: the owner asks, with its head; the answers are `FollowReport`. */
export const FOLLOW_TOPIC = "follow";
export const FOLLOWED_TOPIC = "followed";

/** Up to this counter the state was in the store so long ago, and in force (at a proxy: routed by) so long ago. */
type FollowedStep = readonly [counter: number, storedAgoMs: number, inForceAgoMs: number];

export interface FollowReport extends Start {
  readonly format: 1;
  readonly steps: readonly FollowedStep[];
}

const agoShape = z.number().min(0).max(CONVERGENCE_DEADLINE_MS);
const reportShape: ZodType<FollowReport> = z.strictObject({
  format: z.literal(1),
  incarnation: countShape,
  startId: countShape,
  steps: z.array(z.tuple([countShape, agoShape, agoShape])).max(FOLLOW_STEPS_MAX),
});

/** Undefined: not of this release. */
export function decodeFollowReport(bytes: Uint8Array): FollowReport | undefined {
  const decoded = decodeRecord(reportShape, bytes);
  return decoded.ok ? decoded.value : undefined;
}

/** When, by our clock, an owner's state was first held, and in force, at this head. */
export interface FollowStep {
  readonly head: Version;
  readonly storedAtMs: number;
  readonly inForceAtMs: number;
}

export interface FollowAnswersDeps {
  readonly mesh: Pick<Mesh, "tell">;
  /** Milliseconds on a clock that never goes back. */
  readonly nowMs: () => number;
  readonly random: () => number;
  readonly count: (counter: "follow-reports", by: number) => void;
}

export class FollowAnswers {
  readonly #deps: FollowAnswersDeps;
  /** Who asked, and what it was not told yet. */
  readonly #steps = new Map<OwnerId, FollowStep[]>();
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: FollowAnswersDeps) {
    this.#deps = deps;
  }

  get isEmpty(): boolean {
    return this.#steps.size === 0;
  }

  follow(owner: OwnerId): void {
    if (!this.#steps.has(owner)) this.#steps.set(owner, []);
  }

  isFollowed(owner: OwnerId): boolean {
    return this.#steps.has(owner);
  }

  /** Over the bound the last step is put off to this one: what is told too late does not flatter. */
  inForce(owner: OwnerId, step: FollowStep): void {
    const steps = this.#steps.get(owner);
    if (steps === undefined) return;
    if (steps.length >= FOLLOW_STEPS_MAX) steps.pop();
    steps.push(step);
    this.#timer ??= setTimeout(() => this.flush(), FOLLOW_REPORT_MS * (0.5 + this.#deps.random()));
  }

  /** Tells what was gathered, at once. What is lost on the way the owner asks for again. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const [owner, steps] of this.#steps) {
      if (steps.length > 0) this.#report(owner, steps.splice(0));
    }
  }

  keep(isConnected: (owner: OwnerId) => boolean): void {
    for (const owner of this.#steps.keys()) if (!isConnected(owner)) this.#steps.delete(owner);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#steps.clear();
  }

  /** Only of the last start: the owner measures no other. */
  #report(owner: OwnerId, steps: readonly FollowStep[]): void {
    const { mesh, nowMs, count } = this.#deps;
    const last = steps.at(-1)?.head;
    if (last === undefined) return;
    const now = nowMs();
    const agoMs = (atMs: number): number => Math.min(now - atMs, CONVERGENCE_DEADLINE_MS);
    const told = steps
      .filter(({ head }) => compareStarts(head, last) === 0)
      .map(({ head, storedAtMs, inForceAtMs }): FollowedStep => {
        return [head.counter, agoMs(storedAtMs), agoMs(inForceAtMs)];
      });
    const { incarnation, startId } = last;
    const report: FollowReport = { format: 1, incarnation, startId, steps: told };
    if (mesh.tell(owner, FOLLOWED_TOPIC, encodeRecord(report))) count("follow-reports", 1);
  }
}
