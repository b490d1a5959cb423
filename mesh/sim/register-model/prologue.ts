// Prologue: what was there before the first move: nothing, or one value of the app that some voters have.

import { idOf } from "../../register/testing/voters.ts";
import { createValue } from "../../register/value.ts";
import type { VoterList } from "../../register/voter-list.ts";
import { type Desk, newDesk } from "./desk.ts";
import { NOTHING_OBSERVED, type Observed } from "./observed.ts";
import { APP_REGISTER } from "./scenario.ts";
import { newSeat, type Seat } from "./seat.ts";

export interface Prologue {
  readonly deskOf: (letter: string) => Desk;
  readonly seatOf: (letter: string) => Seat;
  readonly observed: Observed;
}

interface Before {
  readonly list: VoterList;
  /** Letters; none: nothing was committed. */
  readonly committedBy: string;
  /** Used up already, by letter. */
  readonly rounds: Readonly<Record<string, number>>;
}

export function prologueOf(proposers: readonly string[], { list, committedBy, rounds }: Before): Prologue {
  const [first = ""] = proposers;
  const deskOf = (letter: string): Desk => ({ ...newDesk(letter, list), round: rounds[letter] ?? 0 });
  const empty = { deskOf, seatOf: () => newSeat(list) };
  if (committedBy === "") return { ...empty, observed: NOTHING_OBSERVED };
  const ballot = { round: 1, proposer: idOf(first) };
  const value = createValue({ epoch: 1, origin: ballot, record: new TextEncoder().encode("before") });
  const vote = { list: list.number, ballot, value, signature: new Uint8Array() };
  const chosen = { register: APP_REGISTER, vote };
  const known = new Map([[APP_REGISTER, 1]]);
  const cast = { ...chosen, isDurable: true, hasLeft: true, isLost: false };
  const slots = new Map([[APP_REGISTER, { promised: ballot, accepted: vote }]]);
  return {
    deskOf: (letter) => {
      const desk = deskOf(letter);
      return { ...desk, known, round: letter === first ? Math.max(desk.round, ballot.round) : desk.round };
    },
    seatOf: (letter) =>
      committedBy.includes(letter)
        ? { ...newSeat(list), memory: slots, disk: slots, casts: [cast] }
        : newSeat(list),
    observed: { chosen: [chosen], floors: known, failed: [] },
  };
}
