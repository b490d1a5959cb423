// Sim driver: one agent that drives, as far as the simulator sees it: its machine, what is on its way to it, and its swap.

import { type AppName, appName, type CommittedApp, type MemberName, type VmName } from "../../mesh/index.ts";
import type { HostFact, ObservedVm } from "../../node/deploy/core/facts.ts";
import { Rollout, type RolloutEffect, type RolloutInput } from "../../node/deploy/core/rollout.ts";
import type { SimTime, Timer } from "./sim-time.ts";

export const SIM_APP: AppName = appName("hello");
export const SIM_HOSTNAME = "hello.localhost";
/** 2026-01-01. */
export const SIM_WALL_START_MS = 1_767_225_600_000;
/** Shorter than `wait_timeout`, as the defaults are, and than a host is gone. */
export const REPAIR_AFTER_MS = 6_000;

export type Swap = Extract<RolloutEffect, { kind: "swap" }>;

/** `down`: it has forgotten everything. `paused`: it stands still, and goes on from there. `cut`: it hears nobody, and goes on. */
type Condition = "up" | "paused" | "cut" | "down";

export interface SimDriverDeps {
  readonly time: SimTime;
  /** It wants this committed, by what it knows now. */
  readonly onSwap: (driver: SimDriver, swap: Swap) => void;
}

export class SimDriver {
  readonly name: MemberName;
  readonly #deps: SimDriverDeps;
  condition: Condition = "up";
  readonly inbox: RolloutInput[] = [];
  /** On its way to the voters. */
  swap: Swap | null = null;
  /** What it was told of VMs, as far as it listened. */
  readonly heard: Map<VmName, ObservedVm> = new Map();
  /** Hosts that it was told are dead, since when, milliseconds since 1970. */
  dead: ReadonlyMap<MemberName, number> = new Map();
  #timer: Timer | null = null;
  /** Its timer rang while it stood still. */
  #isDue = false;
  #machine: Rollout;

  constructor(name: MemberName, deps: SimDriverDeps) {
    this.name = name;
    this.#deps = deps;
    this.#machine = newMachine(name);
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
    this.heard.clear();
    this.swap = null;
    this.#deps.time.cancel(this.#timer);
    this.#timer = null;
    this.#isDue = false;
    return swap;
  }

  /** With all that a store holds. */
  restart(facts: readonly RolloutInput[]): void {
    this.condition = "up";
    this.#machine = newMachine(this.name);
    this.inbox.push(...facts);
  }

  goOn(): void {
    this.condition = "up";
    if (this.#isDue) this.#ring();
  }

  /** Takes in the next input. */
  step(): void {
    const input = this.inbox.shift();
    if (input !== undefined) this.#feed(input);
  }

  /** Takes in all: nobody sees in which order, while it has no say. */
  stepAll(): void {
    while (this.inbox.length > 0) this.step();
  }

  #feed(input: RolloutInput): void {
    if (input.kind === "hosts") this.dead = deadOf(input.hosts);
    if (input.kind === "vm") {
      if (input.observed === null) this.heard.delete(input.vm);
      else this.heard.set(input.vm, input.observed);
    }
    const { time } = this.#deps;
    for (const effect of this.#machine.step(input, time.nowMs)) {
      if (effect.kind === "schedule") {
        time.cancel(this.#timer);
        this.#timer = time.at(effect.atMs, () => this.#ring());
      }
      if (effect.kind !== "swap") continue;
      this.swap = effect;
      this.#deps.onSwap(this, effect);
    }
  }

  #ring(): void {
    this.#timer = null;
    this.#isDue = this.condition === "paused";
    if (!this.#isDue) this.#feed({ kind: "tick" });
  }
}

function deadOf(hosts: readonly HostFact[]): ReadonlyMap<MemberName, number> {
  return new Map(
    hosts.flatMap(({ host, deadSinceMs }) => (deadSinceMs === undefined ? [] : [[host, deadSinceMs]])),
  );
}

function newMachine(driver: MemberName): Rollout {
  return new Rollout({
    app: SIM_APP,
    driver,
    wallOffsetMs: SIM_WALL_START_MS,
    repairAfterMs: REPAIR_AFTER_MS,
  });
}

export function committedInput(committed: CommittedApp, isInCharge: boolean): RolloutInput {
  return { kind: "committed", committed, isInCharge };
}
