// Liveness member: what the failure detector knows of one other member, and what follows from it.

import type { OwnerId } from "./ids.ts";
import type { Accusation, Life, LivenessMember, LivenessState } from "./liveness-face.ts";

export interface Judged {
  readonly owner: OwnerId;
  life: Life;
  hasLeft: boolean;
  isLinked: boolean;
  /** There was a link to it, or we dialed it in vain: else we know nothing of our own, and ask nobody. */
  wasLinked: boolean;
  /** Its kernel refused the last dial. */
  isRefused: boolean;
  state: LivenessState;
  sinceMs: number;
  why: string;
  probedAtMs: number;
  /** When the last probe was sent that it answered. */
  ackSentAtMs: number;
  /** What we hold against it. */
  own: Accusation | null;
  /** What others hold against it, of whatever life. */
  readonly accusers: Map<OwnerId, Accusation>;
  /** Of this suspicion: when it began, and when a second accuser came. */
  suspectAtMs: number;
  secondAtMs: number;
  diedAtMs: number;
  /** For when its next look is scheduled. */
  armedForMs: number;
  /** We look for ourselves, each interval, for as long as anybody accuses it. */
  isWatched: boolean;
}

export const NEVER_MS: number = Number.NEGATIVE_INFINITY;

export function newJudged(
  { owner, life, hasLeft }: LivenessMember,
  {
    nowMs,
    accusers = new Map(),
  }: { readonly nowMs: number; readonly accusers: Judged["accusers"] | undefined },
): Judged {
  return {
    owner,
    life,
    hasLeft,
    isLinked: false,
    wasLinked: false,
    isRefused: false,
    state: hasLeft ? "left" : "alive",
    sinceMs: nowMs,
    why: hasLeft ? "it said that it leaves" : "",
    probedAtMs: NEVER_MS,
    ackSentAtMs: NEVER_MS,
    own: null,
    accusers,
    suspectAtMs: NEVER_MS,
    secondAtMs: NEVER_MS,
    diedAtMs: NEVER_MS,
    armedForMs: NEVER_MS,
    isWatched: false,
  };
}

export function compareLives(left: Life, right: Life): number {
  return left.incarnation - right.incarnation || left.refutation - right.refutation;
}

/** Accusations of its present life, or of one that we have not heard of yet, by those whose word counts. */
export function standingAccusations(
  judged: Judged,
  isCounted: (accuser: OwnerId) => boolean,
): readonly Accusation[] {
  const others = [...judged.accusers].filter(([accuser]) => isCounted(accuser)).map(([, said]) => said);
  const all = judged.own === null ? others : [judged.own, ...others];
  return all.filter(({ life }) => compareLives(life, judged.life) >= 0);
}
