// Rollout counters: what this agent brought about as a driver, since its start. Of a cluster the sum over its agents is the whole: each
// commit has one driver.

import type { AppRecord, MemberName, Rollout, RolloutState } from "../../mesh/index.ts";

type Ended = Exclude<RolloutState, "running" | "paused">;

export class RolloutCounters {
  readonly #self: MemberName;
  readonly #ended = new Map<`${Rollout["kind"]} ${Ended}`, number>();
  #takeovers = 0;

  constructor(self: MemberName) {
    this.#self = self;
  }

  /** A record took the place of the one before; that may be null if it is known that there was none. */
  committed(before: AppRecord | null, { rollout }: AppRecord): void {
    if (rollout === null || rollout.driver !== this.#self) return;
    const { superseded } = rollout;
    if (superseded !== undefined && superseded.id === before?.rollout?.id)
      this.#count(before.rollout.kind, superseded.state);
    const isSame = before?.rollout?.id === rollout.id;
    const wasRunning = isSame && before?.rollout?.state === "running";
    if (wasRunning && before?.rollout?.driver !== this.#self) this.#takeovers += 1;
    if (isSame && !wasRunning) return;
    this.#count(rollout.kind, rollout.state);
  }

  #count(kind: Rollout["kind"], state: RolloutState): void {
    if (state === "running" || state === "paused") return;
    const key = `${kind} ${state}` as const;
    this.#ended.set(key, (this.#ended.get(key) ?? 0) + 1);
  }

  /** Rollouts that this agent went on with, which another had driven. */
  get takeovers(): number {
    return this.#takeovers;
  }

  ended(kind: Rollout["kind"], state: Ended): number {
    return this.#ended.get(`${kind} ${state}`) ?? 0;
  }
}
