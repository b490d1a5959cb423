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
}

export function prologueOf(proposers: readonly string[], { list, committedBy }: Before): Prologue {
  const [first = ""] = proposers;
  const empty = { deskOf: (letter: string) => newDesk(letter, list), seatOf: () => newSeat(list) };
  if (committedBy === "") return { ...empty, observed: NOTHING_OBSERVED };
  const ballot = { round: 1, proposer: idOf(first) };
  const value = createValue({ epoch: 1, origin: ballot, record: new TextEncoder().encode("before") });
  const vote = { list: list.number, ballot, value, signature: new Uint8Array() };
  const chosen = { register: APP_REGISTER, vote };
  const known = new Map([[APP_REGISTER, 1]]);
  const cast = { ...chosen, isDurable: true, hasLeft: true, isLost: false };
  const slots = new Map([[APP_REGISTER, { promised: ballot, accepted: vote }]]);
  return {
    deskOf: (letter) => ({ ...newDesk(letter, list), known, round: letter === first ? 1 : 0 }),
    seatOf: (letter) =>
      committedBy.includes(letter)
        ? { ...newSeat(list), memory: slots, disk: slots, casts: [cast] }
        : newSeat(list),
    observed: { chosen: [chosen], floors: known, failed: [] },
  };
}
