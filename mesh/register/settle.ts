// Settle: what must follow a change of voters before the next one may. A majority of the new list says which registers it has:
// whoever said so takes nothing under the former list any more, so nothing is chosen there from then on, and what had been is among
// those. Each is committed anew under the new list; then the list is marked as settled, by a swap of the voters' own register.

import { type AcceptorContext, checkList, type Nack, type Slot } from "./acceptor.ts";
import type { VoterId } from "./ballot.ts";
import type { RegisterName } from "./certificate.ts";
import { majorityOf, type VoterList, voterOf } from "./voter-list.ts";

/** The register that holds the voter list. It is settled like any other. */
export const VOTERS_REGISTER: RegisterName = "voters";

/** How far the settling of one list has come. Kept in memory: who takes it over begins anew. */
export interface Settling {
  readonly list: VoterList;
  /** Those that said what they have. */
  readonly shown: ReadonlySet<VoterId>;
  /** All that anybody has. */
  readonly registers: ReadonlySet<RegisterName>;
  /** Those that were committed under the list. */
  readonly committed: ReadonlySet<RegisterName>;
}

export type SettleStep =
  /** Ask these which registers they have, under this list; a majority must say. */
  | { readonly kind: "ask"; readonly voters: readonly VoterId[] }
  /** Commit these anew (`recommit`), in any order. */
  | { readonly kind: "recommit"; readonly registers: readonly RegisterName[] }
  /** Swap this into the register of the voters; when it is committed the next change may follow. */
  | { readonly kind: "mark"; readonly list: VoterList };

export type RegistersShown = { readonly kind: "registers"; readonly names: readonly RegisterName[] } | Nack;

export function beginSettling(list: VoterList): Settling {
  return { list, shown: new Set(), registers: new Set(), committed: new Set() };
}

/** A voter's part: all in which it ever accepted anything. Only under the list that it goes by: that is what fences the former. */
export function showRegisters(
  context: Pick<AcceptorContext, "self" | "list">,
  list: number,
  slots: Iterable<readonly [RegisterName, Slot]>,
): RegistersShown {
  const refused = checkList(context, list);
  if (refused !== null) return refused;
  const names = [...slots].filter(([, { accepted }]) => accepted !== null).map(([name]) => name);
  return { kind: "registers", names };
}

export function showed(settling: Settling, voter: VoterId, names: readonly RegisterName[]): Settling {
  if (voterOf(settling.list, voter) === undefined) return settling;
  return {
    ...settling,
    shown: new Set([...settling.shown, voter]),
    registers: new Set([...settling.registers, ...names]),
  };
}

/**
 * `list`: the one that the certificate names, or, of a register in which nothing was found, the one that the operation went by.
 * Under another it counts for nothing.
 */
export function recommitted(settling: Settling, register: RegisterName, list: number): Settling {
  if (list !== settling.list.number) return settling;
  return { ...settling, committed: new Set([...settling.committed, register]) };
}

export function nextStep({ list, shown, registers, committed }: Settling): SettleStep {
  if (shown.size < majorityOf(list)) {
    return { kind: "ask", voters: list.voters.map(({ id }) => id).filter((id) => !shown.has(id)) };
  }
  const missing = [...registers].filter((register) => !committed.has(register));
  if (missing.length > 0) return { kind: "recommit", registers: missing };
  return { kind: "mark", list: { ...list, isSettled: true } };
}
