// Probes: what was asked and not answered yet. A late answer finds nothing here and says nothing.

import { PROBES_MAX, RELAYED_PROBES_PER_PEER_MAX } from "../limits.ts";
import type { OwnerId } from "./ids.ts";

/** One of ours. `direct`: it was asked itself; `indirect`: others were asked to ask it. */
export interface Probe {
  readonly serial: number;
  readonly target: OwnerId;
  readonly sentAtMs: number;
  stage: "direct" | "indirect";
  /** Whom we asked, and who of them said that it has no answer either. */
  readonly relays: Set<OwnerId>;
  readonly nacked: Set<OwnerId>;
}

/** One that we do for another. */
export interface RelayedProbe {
  readonly serial: number;
  readonly asker: OwnerId;
  readonly askerSerial: number;
  readonly target: OwnerId;
}

export class Probes {
  readonly #own = new Map<number, Probe>();
  readonly #targets = new Set<OwnerId>();
  readonly #relayed = new Map<number, RelayedProbe>();
  readonly #relayedOf = new Map<OwnerId, number>();
  #lastSerial = 0;

  /** Undefined: one of this target is under way, or too many are. */
  begin(target: OwnerId, nowMs: number): Probe | undefined {
    if (this.#targets.has(target) || this.#own.size >= PROBES_MAX) return undefined;
    const serial = this.#nextSerial();
    const probe: Probe = {
      serial,
      target,
      sentAtMs: nowMs,
      stage: "direct",
      relays: new Set(),
      nacked: new Set(),
    };
    this.#own.set(serial, probe);
    this.#targets.add(target);
    return probe;
  }

  own(serial: number): Probe | undefined {
    return this.#own.get(serial);
  }

  end(probe: Probe): void {
    if (this.#own.delete(probe.serial)) this.#targets.delete(probe.target);
  }

  /** Undefined: this peer has us probe too much already. */
  relay(asker: OwnerId, askerSerial: number, target: OwnerId): RelayedProbe | undefined {
    const count = this.#relayedOf.get(asker) ?? 0;
    if (count >= RELAYED_PROBES_PER_PEER_MAX) return undefined;
    this.#relayedOf.set(asker, count + 1);
    const relayed = { serial: this.#nextSerial(), asker, askerSerial, target };
    this.#relayed.set(relayed.serial, relayed);
    return relayed;
  }

  /** Takes it off. */
  takeRelayed(serial: number): RelayedProbe | undefined {
    const relayed = this.#relayed.get(serial);
    if (relayed === undefined) return undefined;
    this.#relayed.delete(serial);
    const count = (this.#relayedOf.get(relayed.asker) ?? 1) - 1;
    if (count > 0) this.#relayedOf.set(relayed.asker, count);
    else this.#relayedOf.delete(relayed.asker);
    return relayed;
  }

  relayed(serial: number): RelayedProbe | undefined {
    return this.#relayed.get(serial);
  }

  /** Whoever it was: nothing of it is awaited any more. */
  forget(target: OwnerId): void {
    for (const probe of [...this.#own.values()]) if (probe.target === target) this.end(probe);
  }

  get size(): number {
    return this.#own.size;
  }

  #nextSerial(): number {
    this.#lastSerial += 1;
    return this.#lastSerial;
  }
}
