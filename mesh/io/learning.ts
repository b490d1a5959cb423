// Learning: who lost its incarnation with its disk announces itself once it has heard what it wrote before, or waited for that.

import { LEARN_LOOK_MS, LEARN_MS, LEARN_OUTDONE_MS_MAX } from "../limits.ts";

export interface LearningDeps {
  readonly isForgetful: boolean;
  /** A peer has shown that there is something to hear, and it has not come yet. */
  readonly isOutdone: () => boolean;
  readonly announce: () => void;
}

export class Learning {
  readonly #deps: LearningDeps;
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: LearningDeps) {
    this.#deps = deps;
  }

  announce(): void {
    if (!this.#deps.isForgetful) this.#deps.announce();
    else this.#timer ??= setTimeout(() => this.#look(LEARN_MS), LEARN_MS);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #look(waitedMs: number): void {
    if (learnsOn(waitedMs, this.#deps.isOutdone()))
      this.#timer = setTimeout(() => this.#look(waitedMs + LEARN_LOOK_MS), LEARN_LOOK_MS);
    else this.#deps.announce();
  }
}

/** Of one that lost its incarnation: whether it waits on. */
export function learnsOn(waitedMs: number, isOutdone: boolean): boolean {
  return waitedMs < (isOutdone ? LEARN_OUTDONE_MS_MAX : LEARN_MS);
}
