// Ballot: orders the attempts to change a register. A proposer uses each of its ballots for one value at most, for all time:
// rounds are reserved on its disk before they are used.

declare const brand: unique symbol;
/** Random, made with a voter's disk and kept on it: who lost its disk is another voter. 16 hex digits. */
export type VoterId = string & { readonly [brand]: "VoterId" };

const VOTER_ID = /^[0-9a-f]{16}$/;

export function isVoterId(text: string): text is VoterId {
  return VOTER_ID.test(text);
}

/** The caller has validated the text, or made it. */
export function voterId(text: string): VoterId {
  return text as VoterId;
}

/** Compared by round, then by proposer: no two proposers have one. */
export interface Ballot {
  /** 1, 2, … */
  readonly round: number;
  readonly proposer: VoterId;
}

/** Below all others: nothing was promised yet. */
export const NO_BALLOT: Ballot = { round: 0, proposer: voterId("") };

/** Below zero: `left` is the lower. */
export function compareBallots(left: Ballot, right: Ballot): number {
  if (left.round !== right.round) return left.round - right.round;
  return left.proposer < right.proposer ? -1 : Number(left.proposer > right.proposer);
}

export function isSameBallot(left: Ballot, right: Ballot): boolean {
  return compareBallots(left, right) === 0;
}

/** `7.3fa9`: the round, and the end of the proposer's id. */
export function describeBallot({ round, proposer }: Ballot): string {
  return `${round}.${proposer.slice(-4)}`;
}
