// Liveness member: what the failure detector knows of one other member, and what follows from it.

import type { OwnerId } from "./ids.ts";
import type { Accusation, Life, LivenessMember, LivenessState } from "./liveness-face.ts";

export interface Judged {
  readonly owner: OwnerId;
  life: Life;
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
  /** Others were told of it. */
  isOwnTold: boolean;
  /** When this suspicion began: what it answered to a probe of before says nothing. */
  suspectAtMs: number;
  /** Since when its time to object runs, and since when there is a second accuser; begun anew by the brake. */
  patienceFromMs: number;
  secondAtMs: number;
  diedAtMs: number;
  /** For when its next look is scheduled. */
  armedForMs: number;
}

export const NEVER_MS: number = Number.NEGATIVE_INFINITY;

/** What one holds against another, of whatever life; `judged`: how we judge it itself, if it is a member here. */
export interface Accuser {
  said: Accusation;
  judged: Judged | undefined;
}

export function newJudged({ owner, life, hasLeft }: LivenessMember, nowMs: number): Judged {
  return {
    owner,
    life,
    isLinked: false,
    wasLinked: false,
    isRefused: false,
    state: hasLeft ? "left" : "alive",
    sinceMs: nowMs,
    why: hasLeft ? "it said that it leaves" : "",
    probedAtMs: NEVER_MS,
    ackSentAtMs: NEVER_MS,
    own: null,
    isOwnTold: false,
    suspectAtMs: NEVER_MS,
    patienceFromMs: NEVER_MS,
    secondAtMs: NEVER_MS,
    diedAtMs: NEVER_MS,
    armedForMs: NEVER_MS,
  };
}

export function compareLives(left: Life, right: Life): number {
  return left.incarnation - right.incarnation || left.refutation - right.refutation;
}

/** How many accuse it, and how many of them found its port closed. */
export interface Standing {
  readonly accusers: number;
  readonly closed: number;
}

/**
 * Accusations of the very life that it has shown here, by those whose word counts: members that are not dead themselves. One of a
 * higher life waits until that is here: an honest accuser has seen it, and nobody else can be objected to.
 */
export function standingOf(
  judged: Judged,
  others: Iterable<Accuser>,
  own: Accusation | null = judged.own,
): Standing {
  let [accusers, closed] = [0, 0];
  const count = ({ life, reason }: Accusation): void => {
    if (compareLives(life, judged.life) !== 0) return;
    accusers += 1;
    closed += reason === "closed" ? 1 : 0;
  };
  if (own !== null) count(own);
  for (const { said, judged: accuser } of others) {
    if (accuser?.state === "alive" || accuser?.state === "suspect") count(said);
  }
  return { accusers, closed };
}
