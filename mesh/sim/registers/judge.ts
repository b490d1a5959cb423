// Judge: what outlives all processes: which votes came to be on disk, which left their voter, what was chosen, what was reported to
// whom. `one-register` is judged here, by what the design promises and not by how the protocol keeps it (as
// mesh/sim/register-model/observed.ts does for the model).

import { compareBallots, type VoterId } from "../../register/ballot.ts";
import { checkCertificate, type RegisterName, type Vote } from "../../register/certificate.ts";
import type { CommittedValue } from "../../register/proposer-face.ts";
import { VOTERS_REGISTER } from "../../register/settle.ts";
import { describeValue, shortBallot } from "../../register/testing/describe.ts";
import { isSameValue, type RegisterValue } from "../../register/value.ts";
import { majorityOf, type VoterList, voterOf } from "../../register/voter-list.ts";
import { decodeVoterList } from "../../register/voter-list-codec.ts";
import type { Clock } from "./clock.ts";
import { CLUSTER, rootCrypto } from "./crypto.ts";
import type { Ended } from "./operations.ts";
import { inWords } from "./words.ts";

export interface Violation {
  readonly invariant: "one-register" | "linearizable" | "no-lost-commit" | "settles";
  /** Virtual time. */
  readonly atMs: number;
  /** Null: it concerns no single one. */
  readonly register: RegisterName | null;
  readonly text: string;
}

/** One vote, as several voters cast it. */
interface Tally {
  readonly vote: Vote;
  /** Whose disk had it at some time. */
  readonly durable: Set<VoterId>;
  /** Whose signature of it left. */
  readonly left: Set<VoterId>;
  isChosen: boolean;
}

interface RegisterCase {
  readonly tallies: Map<string, Tally>;
  readonly chosen: Vote[];
  /** What was accepted, by ballot. */
  readonly byBallot: Map<string, RegisterValue>;
  /** What was first chosen of each epoch. */
  readonly line: Map<number, RegisterValue>;
  /** The highest epoch that was reported. */
  floor: number;
}

export class Judge {
  readonly violations: Violation[] = [];
  readonly #clock: Clock;
  readonly #cases = new Map<RegisterName, RegisterCase>();
  /** Records, each used once, that were reported as never to be committed. */
  readonly #denied = new Map<string, Ended["outcome"]["kind"]>();
  /** All that were ever in force, by number. */
  readonly #lists = new Map<number, VoterList>();
  #newest: VoterList;

  constructor(clock: Clock, first: VoterList) {
    this.#clock = clock;
    this.#lists.set(first.number, first);
    this.#newest = first;
  }

  /** In force, whether anybody knows it yet or not. */
  get newestList(): VoterList {
    return this.#newest;
  }

  get registers(): readonly RegisterName[] {
    return [...this.#cases.keys()];
  }

  floor(register: RegisterName): number {
    return this.#caseOf(register).floor;
  }

  /** The highest epoch that was chosen; 0: nothing was. */
  highest(register: RegisterName): number {
    return this.#caseOf(register).line.size;
  }

  fail(invariant: Violation["invariant"], register: RegisterName | null, line: string): void {
    const text = inWords(register, line);
    this.#clock.tell(register, () => `${invariant} FAILS: ${text}`);
    this.violations.push({ invariant, atMs: this.#clock.nowMs, register, text });
  }

  // --- votes

  durable(voter: VoterId, register: RegisterName, vote: Vote): void {
    const tally = this.#tallyOf(register, vote);
    tally.durable.add(voter);
    this.#requireOneValue(register, vote);
    if (tally.isChosen || !this.#isMajority(vote.list, tally.durable)) return;
    tally.isChosen = true;
    this.#choose(register, vote);
  }

  /** A ballot is used for one value, for all time. */
  #requireOneValue(register: RegisterName, { ballot, value }: Vote): void {
    const { byBallot } = this.#caseOf(register);
    const key = shortBallot(ballot);
    const other = byBallot.get(key);
    if (other === undefined) byBallot.set(key, value);
    else if (!isSameValue(other, value))
      this.#fail(
        register,
        `${describeValue(value)} and ${describeValue(other)} were accepted at one ballot, ${key}`,
      );
  }

  /** Whoever collects what leaves must never hold a certificate of what was not chosen. */
  left(voter: VoterId, register: RegisterName, vote: Vote): void {
    const tally = this.#tallyOf(register, vote);
    if (tally.left.has(voter)) return;
    tally.left.add(voter);
    if (tally.isChosen || !this.#isMajority(vote.list, tally.left)) return;
    tally.isChosen = true;
    const what = `${describeValue(vote.value)} at ${shortBallot(vote.ballot)}`;
    this.#fail(register, `signatures for ${what} make a certificate, and no majority ever had it on disk`);
  }

  #choose(register: RegisterName, vote: Vote): void {
    const { chosen, line } = this.#caseOf(register);
    const { value, ballot, list } = vote;
    this.#countChosen(list);
    this.#clock.tell(
      register,
      () => `CHOSEN ${describeValue(value)} at ${shortBallot(ballot)} under list ${list}`,
    );
    const fault = faultOfChosen(vote, chosen) ?? this.#faultOfLine(value, line);
    if (fault !== null) this.#fail(register, `${describeValue(value)} at ${shortBallot(ballot)} ${fault}`);
    chosen.push(vote);
    if (line.has(value.epoch)) return;
    line.set(value.epoch, value);
    if (register === VOTERS_REGISTER) this.#putInForce(value);
  }

  #countChosen(list: number): void {
    const { counts } = this.#clock;
    const voters = this.#lists.get(list)?.voters.length;
    counts.chosen += 1;
    if (voters === 3) counts.chosenByThree += 1;
    if (voters === 5) counts.chosenByFive += 1;
  }

  #faultOfLine({ epoch, record }: RegisterValue, line: RegisterCase["line"]): string | null {
    const denied = this.#denied.get(recordText(record));
    if (denied !== undefined) return `is chosen, and its swap was told: ${denied}`;
    // Whoever swaps expects what was reported to it.
    return epoch === 1 || line.has(epoch - 1)
      ? null
      : `is chosen, and nothing of epoch ${epoch - 1} ever was`;
  }

  #putInForce({ record }: RegisterValue): void {
    const list = decodeVoterList(record);
    if (!list.ok) throw new Error(`bug: a voter list that cannot be read: ${list.error}`);
    const { counts } = this.#clock;
    if (list.value.isSettled) counts.settles += 1;
    else counts.voterChanges += 1;
    this.#lists.set(list.value.number, list.value);
    this.#newest = list.value;
  }

  // --- reports

  ended(ended: Ended): void {
    const { register, outcome } = ended;
    const fault = this.#faultOfEnd(ended);
    if (fault !== null) this.#fail(register, fault);
    const epoch = this.#reportedEpoch(ended);
    const of = this.#caseOf(register);
    of.floor = Math.max(of.floor, epoch);
    const isDenied = ["conflict", "unavailable", "refused"].includes(outcome.kind);
    if (isDenied) this.#deny(ended);
  }

  #reportedEpoch({ outcome }: Ended): number {
    const committed = committedIn(outcome);
    return committed?.value.epoch ?? 0;
  }

  /** Voter lists have no records of their own: two may propose the same one. */
  #deny({ register, operation, outcome }: Ended): void {
    if (operation.kind !== "swap" || register === VOTERS_REGISTER) return;
    const record = recordText(operation.record);
    const line = this.#caseOf(register).line.get(operation.expectedEpoch + 1);
    if (line !== undefined && recordText(line.record) === record)
      this.#fail(register, `"${record}" was reported as ${outcome.kind}, and it is chosen`);
    this.#denied.set(record, outcome.kind);
  }

  #faultOfEnd({ register, operation, outcome, floor }: Ended): string | null {
    const committed = committedIn(outcome);
    if (outcome.kind === "committed") return this.#faultOfCommit(register, operation, outcome);
    if (outcome.kind !== "read" && outcome.kind !== "conflict") return null;
    const epoch = committed?.value.epoch ?? 0;
    const what = `a ${operation.kind} showed ${committed === null ? "nothing" : describeValue(committed.value)}`;
    if (epoch < floor) return `${what}, and epoch ${floor} had been reported before it was begun`;
    if (outcome.kind === "conflict" && "expectedEpoch" in operation && operation.expectedEpoch === epoch)
      return `${what} as a conflict, and that is what was expected`;
    return committed === null ? null : this.faultOfCertificate(register, committed);
  }

  #faultOfCommit(
    register: RegisterName,
    operation: Ended["operation"],
    committed: CommittedValue,
  ): string | null {
    const what = `${describeValue(committed.value)} was reported as committed`;
    if (operation.kind !== "swap") return `${what} by a ${operation.kind}`;
    const isAsked =
      committed.value.epoch === operation.expectedEpoch + 1 &&
      recordText(committed.value.record) === recordText(operation.record);
    if (!isAsked) return `${what}, and "${recordText(operation.record)}" was asked for`;
    return this.faultOfCertificate(register, committed);
  }

  /** Whether it is of what was chosen, and all who sign it have said so. */
  faultOfCertificate(register: RegisterName, committed: CommittedValue): string | null {
    const { value, certificate } = committed;
    const what = `the certificate of ${describeValue(value)} at ${shortBallot(certificate.ballot)}`;
    this.#clock.counts.certificates += 1;
    const list = this.#lists.get(certificate.list);
    if (list === undefined) return `${what} names list ${certificate.list}, which was never in force`;
    const checked = checkCertificate({ cluster: CLUSTER, register, ...committed }, list, rootCrypto);
    if (!checked.ok) return `${what} does not hold: ${checked.error}`;
    const standing = this.#caseOf(register).line.get(value.epoch);
    return standing !== undefined && isSameValue(standing, value)
      ? null
      : `${what} is of what was never chosen`;
  }

  // --- parts

  #isMajority(number: number, voters: ReadonlySet<VoterId>): boolean {
    const list = this.#lists.get(number);
    if (list === undefined) throw new Error(`bug: a vote under list ${number}, which was never in force`);
    const count = [...voters].filter((voter) => voterOf(list, voter) !== undefined).length;
    return count >= majorityOf(list);
  }

  #tallyOf(register: RegisterName, vote: Vote): Tally {
    const { tallies } = this.#caseOf(register);
    const key = `${vote.list} ${shortBallot(vote.ballot)} ${textOf(vote.value.encoded)}`;
    const known = tallies.get(key);
    if (known !== undefined) return known;
    const tally = { vote, durable: new Set<VoterId>(), left: new Set<VoterId>(), isChosen: false };
    tallies.set(key, tally);
    return tally;
  }

  #caseOf(register: RegisterName): RegisterCase {
    const known = this.#cases.get(register);
    if (known !== undefined) return known;
    const fresh = { tallies: new Map(), chosen: [], byBallot: new Map(), line: new Map(), floor: 0 };
    this.#cases.set(register, fresh);
    return fresh;
  }

  #fail(register: RegisterName, text: string): void {
    this.fail("one-register", register, text);
  }
}

function faultOfChosen(fresh: Vote, chosen: readonly Vote[]): string | null {
  for (const other of chosen) {
    const fault = faultBeside(fresh, other);
    if (fault === null) continue;
    const before = `${describeValue(other.value)} at ${shortBallot(other.ballot)}`;
    return `is chosen, and so is ${before}: ${fault}`;
  }
  return null;
}

function faultBeside(fresh: Vote, other: Vote): string | null {
  const epochs = fresh.value.epoch - other.value.epoch;
  const order = compareBallots(fresh.ballot, other.ballot);
  if (order * epochs > 0) return null;
  if (order * epochs < 0) return "the epoch falls as the ballot grows";
  if (isSameValue(fresh.value, other.value)) return null;
  return epochs === 0 ? "two values of one epoch" : "two values at one ballot";
}

function committedIn(outcome: Ended["outcome"]): CommittedValue | null {
  if (outcome.kind === "committed") return outcome;
  return "current" in outcome ? outcome.current : null;
}

const decoder = new TextDecoder();

function recordText(record: Uint8Array): string {
  return decoder.decode(record);
}

/** A key, one character a byte. */
function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}
