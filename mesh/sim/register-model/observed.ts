// Observed: what outlives the steps: which values were chosen, what was reported to whom. `one-register` is judged here, by what
// the design promises and not by how the protocol keeps it.

import { compareBallots, type VoterId } from "../../register/ballot.ts";
import type { RegisterName, Vote } from "../../register/certificate.ts";
import type { CommittedValue } from "../../register/proposer-face.ts";
import { VOTERS_REGISTER } from "../../register/settle.ts";
import { describeValue, shortBallot } from "../../register/testing/describe.ts";
import { isSameValue } from "../../register/value.ts";
import type { VoterList } from "../../register/voter-list.ts";
import type { Ended } from "./desk.ts";
import { recordText, voteKey } from "./keys.ts";
import { listFrom, listText } from "./list-text.ts";

/** A vote that a majority of its list has had on disk. */
export interface Chosen {
  readonly register: RegisterName;
  readonly vote: Vote;
}

export interface Observed {
  /** In the order of their keys. */
  readonly chosen: readonly Chosen[];
  /** By register: the highest epoch that an operation reported. */
  readonly floors: ReadonlyMap<RegisterName, number>;
  /** Records that were reported as never to be committed. */
  readonly failed: readonly string[];
}

/** What is true from here on, or what is wrong. */
export type Verdict = Observed | { readonly violation: string };

export const NOTHING_OBSERVED: Observed = { chosen: [], floors: new Map(), failed: [] };

export function observedKey({ chosen, floors, failed }: Observed): string {
  return [chosen.map(chosenKey), [...floors].map((floor) => floor.join(" ")).sort(), failed].join("|");
}

export function chosenKey({ register, vote }: Chosen): string {
  return `${register} ${voteKey(vote)}`;
}

export interface ChosenRules {
  /** Each swap expects what was reported, so the epoch before was chosen before. */
  readonly isLineWhole: boolean;
}

/** A majority of its list has this vote on disk. */
export function observeChosen(observed: Observed, fresh: Chosen, rules: ChosenRules): Verdict {
  const key = chosenKey(fresh);
  if (observed.chosen.some((other) => chosenKey(other) === key)) return observed;
  const violation = faultOfChosen(observed, fresh, rules);
  if (violation !== null) return { violation };
  const chosen = [...observed.chosen, fresh].sort((left, right) =>
    chosenKey(left) < chosenKey(right) ? -1 : 1,
  );
  return { ...observed, chosen };
}

function faultOfChosen(observed: Observed, fresh: Chosen, { isLineWhole }: ChosenRules): string | null {
  const { ballot, value } = fresh.vote;
  const others = observed.chosen.filter(({ register }) => register === fresh.register);
  const what = `${describeValue(value)} is chosen at ${shortBallot(ballot)}`;
  for (const { vote } of others) {
    const before = `${describeValue(vote.value)} at ${shortBallot(vote.ballot)}`;
    const isSame = isSameValue(vote.value, value);
    if (vote.value.epoch === value.epoch && !isSame)
      return `${what}, and so is ${before}: two values of one epoch`;
    const order = compareBallots(ballot, vote.ballot);
    if (order === 0 && !isSame) return `${what}, and so is ${before}: two values at one ballot`;
    if (order * (value.epoch - vote.value.epoch) < 0)
      return `${what}, and ${before}: the epoch falls as the ballot grows`;
  }
  if (observed.failed.includes(recordText(value)))
    return `${what}, and its swap was told that it never would be`;
  const isBuilt = value.epoch === 1 || others.some(({ vote }) => vote.value.epoch === value.epoch - 1);
  if (isLineWhole && !isBuilt && !others.some(({ vote }) => isSameValue(vote.value, value)))
    return `${what}, and nothing of epoch ${value.epoch - 1} ever was`;
  return null;
}

/** What the outcome says to be committed. */
export function committedIn({ register, outcome }: Ended): Certified | null {
  const committed = outcome.kind === "committed" ? outcome : "current" in outcome ? outcome.current : null;
  if (committed === null) return null;
  const { value, certificate } = committed;
  const { list, ballot, signatures } = certificate;
  const vote = { list, ballot, value, signature: NO_SIGNATURE };
  return { register, vote, signers: [...signatures.keys()] };
}

export interface Certified extends Chosen {
  readonly signers: readonly VoterId[];
}

const NO_SIGNATURE = new Uint8Array();

/** An operation reported how it ended. `isSigned`: who signs its certificate has voted for that. */
export function observeEnd(observed: Observed, ended: Ended, isSigned: boolean): Verdict {
  const { outcome, operation, register } = ended;
  switch (outcome.kind) {
    case "unknown":
      return observed;
    case "unavailable":
    case "refused":
      return observeFailure(observed, ended);
    case "committed": {
      const violation = faultOfCommitted(observed, ended, outcome, isSigned);
      return violation === null ? withFloor(observed, register, outcome.value.epoch) : { violation };
    }
    case "read":
    case "conflict": {
      const violation = faultOfShown(observed, ended, outcome.current, isSigned);
      if (violation !== null) return { violation };
      const seen = withFloor(observed, register, outcome.current?.value.epoch ?? 0);
      return operation.kind === "swap" || operation.kind === "seed" ? observeFailure(seen, ended) : seen;
    }
  }
}

function withFloor(observed: Observed, register: RegisterName, epoch: number): Observed {
  if (epoch <= (observed.floors.get(register) ?? 0)) return observed;
  return { ...observed, floors: new Map([...observed.floors, [register, epoch]]) };
}

function observeFailure(observed: Observed, { operation, register, outcome }: Ended): Verdict {
  if (operation.kind !== "swap" && operation.kind !== "seed") return observed;
  const record = recordText(operation);
  if (observed.chosen.some((one) => one.register === register && recordText(one.vote.value) === record))
    return { violation: `"${record}" was reported as ${outcome.kind}, and it is chosen` };
  if (observed.failed.includes(record)) return observed;
  return { ...observed, failed: [...observed.failed, record].sort() };
}

function faultOfCommitted(
  observed: Observed,
  { operation, floor, register }: Ended,
  committed: CommittedValue,
  isSigned: boolean,
): string | null {
  const { value } = committed;
  const what = `${describeValue(value)} was reported as committed`;
  if (!("record" in operation)) return `${what} by a ${operation.kind}`;
  const epoch = operation.kind === "seed" ? operation.epoch : operation.expectedEpoch + 1;
  if (value.epoch !== epoch || recordText(value) !== recordText(operation))
    return `${what}, and "${recordText(operation)}" of epoch ${epoch} was asked for`;
  if (epoch <= floor) return `${what}, and epoch ${floor} had been reported before it was begun`;
  return faultOfCertificate(observed, register, committed, isSigned);
}

function faultOfShown(
  observed: Observed,
  { operation, floor, register, outcome }: Ended,
  current: CommittedValue | null,
  isSigned: boolean,
): string | null {
  const epoch = current?.value.epoch ?? 0;
  const what = `${operation.kind} showed ${current === null ? "nothing" : describeValue(current.value)}`;
  if (epoch < floor) return `${what}, and epoch ${floor} had been reported before it was begun`;
  if (outcome.kind === "conflict" && operation.kind === "swap" && operation.expectedEpoch === epoch)
    return `${what} as a conflict, and that is what was expected`;
  return current === null ? null : faultOfCertificate(observed, register, current, isSigned);
}

function faultOfCertificate(
  observed: Observed,
  register: RegisterName,
  { value, certificate: { ballot } }: CommittedValue,
  isSigned: boolean,
): string | null {
  const what = `${describeValue(value)} was reported as committed`;
  const isChosen = observed.chosen.some(
    (other) => other.register === register && isSameValue(other.vote.value, value),
  );
  if (!isChosen) return `${what}, and no majority has it`;
  if (isSigned) return null;
  return `${what}, and one who signs its certificate never voted for it at ${shortBallot(ballot)}`;
}

/** Signatures of a majority have left that make this a certificate. */
export function observeCertificate(observed: Observed, certified: Chosen): Verdict {
  const key = chosenKey(certified);
  if (observed.chosen.some((other) => chosenKey(other) === key)) return observed;
  const { value, ballot } = certified.vote;
  return {
    violation: `signatures for ${describeValue(value)} at ${shortBallot(ballot)} make a certificate, and no majority ever had it`,
  };
}

/** Voter lists that were committed, so that anybody may learn them. */
export function listsInForce({ chosen }: Observed): readonly VoterList[] {
  const lists = chosen
    .filter(({ register }) => register === VOTERS_REGISTER)
    .map(({ vote }) => listFrom(recordText(vote.value)));
  return [...new Map(lists.map((list) => [listText(list), list])).values()];
}
