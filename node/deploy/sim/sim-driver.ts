// Sim driver: one agent that drives, as far as the simulator sees it: its machine, what is on its way to it, and its swap.

import { type AppName, appName, type CommittedApp, type MemberName } from "../../../mesh/index.ts";
import { Rollout, type RolloutEffect, type RolloutInput } from "../core/rollout.ts";

export const SIM_APP: AppName = appName("hello");
/** 2026-01-01. */
const SIM_WALL_START_MS = 1_767_225_600_000;

type Swap = Extract<RolloutEffect, { kind: "swap" }>;

/** `down`: it has forgotten everything. `paused`: it stands still, and goes on from there. */
type Condition = "up" | "paused" | "down";

export class SimDriver {
  readonly name: MemberName;
  condition: Condition = "up";
  readonly inbox: RolloutInput[] = [];
  /** On its way to the voters. */
  swap: Swap | null = null;
  dueAtMs: number | null = null;
  #machine: Rollout;

  constructor(name: MemberName) {
    this.name = name;
    this.#machine = this.#newMachine();
  }

  get machine(): Rollout {
    return this.#machine;
  }

  tell(input: RolloutInput): void {
    if (this.condition !== "down") this.inbox.push(input);
  }

  /** What a crash leaves behind is what was on its way. */
  crash(): Swap | null {
    const { swap } = this;
    this.condition = "down";
    this.inbox.length = 0;
    this.swap = null;
    this.dueAtMs = null;
    return swap;
  }

  /** With all that a store holds. */
  restart(facts: readonly RolloutInput[]): void {
    this.condition = "up";
    this.#machine = this.#newMachine();
    this.inbox.push(...facts);
  }

  /** Takes in the next input; returns the record that it wants committed, if it does. */
  step(nowMs: number, onSwap: (swap: Swap) => void): void {
    const input = this.inbox.shift();
    if (input !== undefined) this.#feed(input, nowMs, onSwap);
  }

  tick(nowMs: number, onSwap: (swap: Swap) => void): void {
    this.dueAtMs = null;
    this.#feed({ kind: "tick" }, nowMs, onSwap);
  }

  #feed(input: RolloutInput, nowMs: number, onSwap: (swap: Swap) => void): void {
    for (const effect of this.#machine.step(input, nowMs)) {
      if (effect.kind === "schedule") this.dueAtMs = effect.atMs;
      if (effect.kind !== "swap") continue;
      this.swap = effect;
      onSwap(effect);
    }
  }

  #newMachine(): Rollout {
    return new Rollout({
      app: SIM_APP,
      driver: this.name,
      wallOffsetMs: SIM_WALL_START_MS,
      repairAfterMs: 60_000,
    });
  }
}

export function committedInput(committed: CommittedApp, isInCharge: boolean): RolloutInput {
  return { kind: "committed", committed, isInCharge };
}
