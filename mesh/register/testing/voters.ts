// Voters for tests and models: `a` is the voter with the id 000000000000000a, and so on to `f`; its owner is `owner-a`.

import { memberName, ownerId } from "../../core/ids.ts";
import { type Ballot, type VoterId, voterId } from "../ballot.ts";
import { createValue, type RegisterValue } from "../value.ts";
import type { Voter, VoterList } from "../voter-list.ts";

const ID_DIGITS = 16;

export function idOf(letter: string): VoterId {
  return voterId(letter.padStart(ID_DIGITS, "0"));
}

export function letterOf(id: VoterId): string {
  return id.slice(-1);
}

export function voterNamed(letter: string): Voter {
  return { id: idOf(letter), owner: ownerId(`owner-${letter}`), name: memberName(`host-${letter}`) };
}

/** `listOf("abc")`: list 1, settled. */
export function listOf(letters: string, part: Partial<Omit<VoterList, "voters">> = {}): VoterList {
  return { number: 1, isSettled: true, ...part, voters: [...letters].map(voterNamed) };
}

/** `ballotOf("7.a")`. */
export function ballotOf(text: string): Ballot {
  const [round, letter = ""] = text.split(".");
  return { round: Number(round), proposer: idOf(letter) };
}

/** The value of this epoch that was first proposed at `origin`; its record is its text. */
export function valueAt(epoch: number, origin: string, text: string = `record ${origin}`): RegisterValue {
  return createValue({ epoch, origin: ballotOf(origin), record: new TextEncoder().encode(text) });
}
