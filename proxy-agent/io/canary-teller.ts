// Canary teller: tells every voter, twice a second while an app bakes, what this proxy counted of it. Any of them may drive the rollout, or
// take it over.

import { CANARIES_PER_MESSAGE_MAX, CANARY_TOPIC, type CanaryMessage } from "../../mesh/index.ts";
import type { CanaryCounter } from "../core/canary-counts.ts";
import type { RouteTable } from "../core/route-table.ts";
import { CANARY_TELL_MS } from "../limits.ts";
import { type TellVotersDeps, tellVoters } from "./tell-voters.ts";

export interface CanaryTellerDeps extends TellVotersDeps {
  readonly counter: CanaryCounter;
  /** Random, of this start of the proxy. */
  readonly startId: string;
}

export class CanaryTeller {
  readonly #deps: CanaryTellerDeps;
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: CanaryTellerDeps) {
    this.#deps = deps;
  }

  /** In the breath in which `table` came into force. That a bake began, and nothing was counted yet, is told at once: it is heard. */
  adopt(table: RouteTable): void {
    this.#deps.counter.adopt(table);
    if (this.#timer !== undefined || this.#deps.counter.isIdle) return;
    this.#timer = setInterval(() => this.#tell(), CANARY_TELL_MS);
    this.#tell();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #tell(): void {
    const { mesh, counter, startId } = this.#deps;
    if (counter.isIdle) this.stop();
    const all = counter.counts();
    for (let from = 0; from < all.length; from += CANARIES_PER_MESSAGE_MAX) {
      const counts = all.slice(from, from + CANARIES_PER_MESSAGE_MAX);
      const message: CanaryMessage = { format: 1, proxy: mesh.self.name, startId, counts };
      tellVoters(this.#deps, CANARY_TOPIC, message);
    }
  }
}
