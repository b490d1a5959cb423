// A voter list as the model's records of the voters' register hold it: `2 abc settled`, and then who wrote it.

import { letterOf, listOf } from "../../register/testing/voters.ts";
import type { VoterList } from "../../register/voter-list.ts";

export function listText({ number, voters, isSettled }: VoterList): string {
  const letters = voters.map(({ id }) => letterOf(id)).join("");
  return `${number} ${letters} ${isSettled ? "settled" : "new"}`;
}

export function listFrom(text: string): VoterList {
  const [number, letters = "", mark] = text.split(" ");
  return listOf(letters, { number: Number(number), isSettled: mark === "settled" });
}
