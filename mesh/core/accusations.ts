// Accusations: who holds what against whom, by accused and by accuser, of members of whom no entry is here yet, too.

import { ACCUSATIONS_MAX } from "../limits.ts";
import type { OwnerId } from "./ids.ts";
import type { Accusation } from "./liveness-face.ts";
import type { Accuser, Judged } from "./liveness-member.ts";

export class Accusations {
  readonly #bySuspect = new Map<OwnerId, Map<OwnerId, Accuser>>();
  readonly #suspectsOf = new Map<OwnerId, Set<OwnerId>>();
  #count = 0;

  /** Changes with what is noted. */
  of(suspect: OwnerId): ReadonlyMap<OwnerId, Accuser> {
    return this.#bySuspect.get(suspect) ?? NOBODY;
  }

  /** Whom it accuses. */
  by(accuser: OwnerId): Iterable<OwnerId> {
    return this.#suspectsOf.get(accuser) ?? [];
  }

  /** What `accuser` holds against `suspect` from now on; null: nothing. False: too many are known, it is not noted. */
  note(accuser: OwnerId, suspect: OwnerId, said: Accusation | null, judged: Judged | undefined): boolean {
    const known = this.#bySuspect.get(suspect)?.get(accuser);
    if (said === null) {
      if (known !== undefined) this.#remove(accuser, suspect);
      return true;
    }
    if (known !== undefined) known.said = said;
    else if (this.#count >= ACCUSATIONS_MAX) return false;
    else this.#add(accuser, suspect, { said, judged });
    return true;
  }

  /** `judged`: as which the accuser is known from now on. */
  know(accuser: OwnerId, judged: Judged | undefined): void {
    for (const suspect of this.by(accuser)) {
      const known = this.#bySuspect.get(suspect)?.get(accuser);
      if (known !== undefined) known.judged = judged;
    }
  }

  #add(accuser: OwnerId, suspect: OwnerId, known: Accuser): void {
    const accusers = this.#bySuspect.get(suspect) ?? new Map<OwnerId, Accuser>();
    this.#bySuspect.set(suspect, accusers.set(accuser, known));
    const suspects = this.#suspectsOf.get(accuser) ?? new Set<OwnerId>();
    this.#suspectsOf.set(accuser, suspects.add(suspect));
    this.#count += 1;
  }

  #remove(accuser: OwnerId, suspect: OwnerId): void {
    const [accusers, suspects] = [this.#bySuspect.get(suspect), this.#suspectsOf.get(accuser)];
    accusers?.delete(accuser);
    suspects?.delete(suspect);
    if (accusers?.size === 0) this.#bySuspect.delete(suspect);
    if (suspects?.size === 0) this.#suspectsOf.delete(accuser);
    this.#count -= 1;
  }
}

const NOBODY: ReadonlyMap<OwnerId, Accuser> = new Map();
