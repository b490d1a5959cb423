// Detector bench: one failure detector, its clock and its timers; others answer as a test says.

import { type OwnerId, ownerId } from "../../core/ids.ts";
import { Liveness } from "../../core/liveness.ts";
import type { Life, LivenessEffect, LivenessInput, LivenessMember } from "../../core/liveness-face.ts";
import { seededRandom } from "../seeded-random.ts";

export const SELF: OwnerId = ownerId("self");
export const LIFE: Life = { incarnation: 1, refutation: 0 };

export class DetectorBench {
  readonly liveness: Liveness = new Liveness({ self: SELF, life: LIFE }, { random: seededRandom(1) });
  readonly effects: LivenessEffect[] = [];
  /** Who answers probes, at once. */
  readonly answering: Set<OwnerId> = new Set();
  /** Who tells, when asked to probe for us, that the target does not answer it either. */
  readonly relaying: Set<OwnerId> = new Set();
  #timers: { atMs: number; input: LivenessInput }[] = [];
  nowMs: number = 0;
  /** How late every timer rings; below 0: early, as one of Node does by less than a millisecond. */
  lateMs: number = 0;

  constructor(members: readonly OwnerId[]) {
    this.do({ kind: "begin" });
    this.do({ kind: "members", members: members.map((owner) => memberOf(owner)) });
    for (const peer of members) {
      this.do({ kind: "link", peer, isUp: true });
      this.answering.add(peer);
      this.relaying.add(peer);
    }
  }

  do(input: LivenessInput): readonly LivenessEffect[] {
    const effects = this.liveness.step(input, this.nowMs);
    this.effects.push(...effects);
    for (const effect of effects) this.#perform(effect);
    return effects;
  }

  run(forMs: number): void {
    const endMs = this.nowMs + forMs;
    for (;;) {
      this.#timers.sort((left, right) => left.atMs - right.atMs);
      const [next] = this.#timers;
      if (next === undefined || next.atMs > endMs) break;
      this.#timers.shift();
      this.nowMs = next.atMs;
      this.do(next.input);
    }
    this.nowMs = endMs;
  }

  accuse(accuser: OwnerId, suspect: OwnerId, refutation = 0): void {
    const accusation = { life: { incarnation: 1, refutation }, reason: "silent" as const };
    this.do({ kind: "accusation", accuser, suspect, accusation });
  }

  state(owner: OwnerId): string | undefined {
    return this.liveness.judgement(owner)?.state;
  }

  judged(owner: OwnerId): readonly string[] {
    return this.effects.flatMap((effect) =>
      effect.kind === "judged" && effect.owner === owner ? [effect.to] : [],
    );
  }

  #perform(effect: LivenessEffect): void {
    if (effect.kind === "schedule") {
      const input = { kind: "timer", token: effect.token } as const;
      // As Node has it: none rings in the moment in which it was set.
      this.#timers.push({ atMs: this.nowMs + Math.max(1, effect.delayMs) + this.lateMs, input });
    } else if (effect.kind === "send") {
      const { to, message } = effect;
      if (message.kind === "probe" && this.answering.has(to)) {
        this.do({ kind: "message", from: to, message: { kind: "probe-ack", serial: message.serial } });
      } else if (message.kind === "probe-request" && this.relaying.has(to)) {
        const isAlive = this.answering.has(message.target);
        const report = { kind: "probe-report", serial: message.serial, isAlive } as const;
        this.do({ kind: "message", from: to, message: report });
      }
    }
  }
}

export function memberOf(owner: OwnerId, part: Partial<LivenessMember> = {}): LivenessMember {
  return { owner, life: LIFE, hasLeft: false, ...part };
}
