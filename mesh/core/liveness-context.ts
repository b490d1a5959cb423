// Liveness context: what the parts of the failure detector share: the members, the clock of the step, and the way out.

import type { Accusations } from "./accusations.ts";
import type { OwnerId } from "./ids.ts";
import type { LivenessEffect, LivenessMessage, LivenessState } from "./liveness-face.ts";
import type { Judged } from "./liveness-member.ts";
import type { LocalHealth } from "./local-health.ts";
import type { Probe } from "./probes.ts";

export type LivenessTimer =
  | { readonly kind: "interval" }
  | { readonly kind: "probe"; readonly probe: Probe }
  | { readonly kind: "relayed"; readonly serial: number }
  | { readonly kind: "link-lost"; readonly peer: OwnerId }
  /** `isAgain`: the first look came late, and what waited for us was read since. */
  | { readonly kind: "suspicion"; readonly owner: OwnerId; readonly isAgain: boolean };

export interface LivenessContext {
  readonly self: OwnerId;
  /** Off: plain SWIM, for the simulator to show what the rest is worth. */
  readonly isLifeguard: boolean;
  readonly members: ReadonlyMap<OwnerId, Judged>;
  readonly accusations: Accusations;
  /** The same members. A thousand judgements a second must not each look at a thousand members. */
  readonly byState: Readonly<Record<LivenessState, Set<Judged>>>;
  /** Whom we look at for ourselves, each interval, for as long as anybody accuses it. */
  readonly watched: Set<Judged>;
  /** Those whose standing stream is up. */
  readonly linked: Set<Judged>;
  readonly health: LocalHealth;
  /** In [0, 1). */
  readonly random: () => number;
  readonly nowMs: () => number;
  readonly emit: (effect: LivenessEffect) => void;
  readonly schedule: (timer: LivenessTimer, delayMs: number) => void;
}

export function send({ emit }: LivenessContext, to: OwnerId, message: LivenessMessage): void {
  emit({ kind: "send", to, message });
}

export function count({ emit }: LivenessContext, counter: string): void {
  emit({ kind: "count", counter, by: 1 });
}

/** Fisher and Yates. */
export function shuffled<Item>(items: readonly Item[], random: () => number): Item[] {
  const all = [...items];
  for (let index = all.length - 1; index > 0; index -= 1) {
    const other = Math.floor(random() * (index + 1));
    [all[index], all[other]] = [all[other] as Item, all[index] as Item];
  }
  return all;
}
