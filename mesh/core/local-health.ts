// Local health: how far a member may trust its own judgement of others (Lifeguard, section IV.A). 0 is well; each unit above
// widens its time-outs, so that who is slow itself blames others later.

/** Lifeguard's S. */
const HEALTH_MAX = 8;

export class LocalHealth {
  readonly #isOn: boolean;
  #value = 0;

  /** Off: always 0, as plain SWIM has it. */
  constructor(isOn: boolean) {
    this.#isOn = isOn;
  }

  /** 0 (well) to 8. */
  get value(): number {
    return this.#value;
  }

  worsen(): void {
    if (this.#isOn) this.#value = Math.min(HEALTH_MAX, this.#value + 1);
  }

  improve(): void {
    this.#value = Math.max(0, this.#value - 1);
  }
}
