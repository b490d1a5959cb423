// Start ahead: what a start looks at is looked at while it waits for its turn: requests may be held until it is done.

import type { ProbeAddress } from "../health/probe.ts";
import type { VmSpec } from "./vm-driver.ts";

/** What was looked at so long ago may be another thing now. */
const AHEAD_MS_MAX = 2_000;

export class StartAhead {
  readonly #look: () => Promise<VmSpec>;
  #ahead: { readonly looked: Promise<VmSpec>; readonly atMs: number } | null = null;

  /** `look`: all of a VM but its address. Rejects with why it cannot be started. */
  constructor(look: () => Promise<VmSpec>) {
    this.#look = look;
  }

  begin(): void {
    const looked = this.#look();
    // Who takes it hears of it.
    looked.catch(() => undefined);
    this.#ahead = { looked, atMs: performance.now() };
  }

  /** Once for each `begin`; what was not looked at, or long ago, is now. Null: it listens nowhere. */
  async take(address: ProbeAddress | null): Promise<VmSpec> {
    const ahead = this.#ahead;
    this.#ahead = null;
    const isFresh = ahead !== null && performance.now() - ahead.atMs < AHEAD_MS_MAX;
    const spec = await (isFresh ? ahead.looked : this.#look());
    if (address === null) return spec;
    return { ...spec, env: { ...spec.env, HOST: address.host, PORT: String(address.port) } };
  }
}
