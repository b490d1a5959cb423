// Verifier: dials each new endpoint once by itself, through its gate if it has one, so that "verified" rests on what this proxy saw. What was reached is
// remembered; what was not is dialled again, with pauses, as long as the table routes to it.

import { messageOf } from "../../mesh/index.ts";
import type { Reached } from "../core/ack-state.ts";
import { type Endpoint, endpointKey, type RouteTable, reachedEndpoints } from "../core/route-table.ts";
import { VERIFY_DIALS_MAX, VERIFY_PAUSE_FIRST_MS, VERIFY_PAUSE_LAST_MS } from "../limits.ts";
import { dial } from "./dial.ts";
import type { GateDesk } from "./gate-desk.ts";

/**
 * - `waiting`: its dial has not begun. `dialling`: it runs. `reached`: done for good.
 * - `unreached`: it failed; `timer` tries again.
 */
type Standing =
  | { readonly kind: "waiting" }
  | { readonly kind: "dialling"; readonly end: () => void }
  | { readonly kind: "reached" }
  | { readonly kind: "unreached"; readonly timer: NodeJS.Timeout };

interface Wanted {
  /** As the newest table has it. */
  endpoint: Endpoint;
  standing: Standing;
  /** Of the last dial; kept while the next one runs, so that an answer does not flicker. */
  reason: string | null;
  pauseMs: number;
}

export interface VerifierDeps {
  readonly gates: Pick<GateDesk, "probe">;
  /** What is known of some endpoint changed. */
  readonly onChange: () => void;
}

export class Verifier {
  readonly #wanted = new Map<string, Wanted>();
  /** Of the newest table, so that a request need not look for its key. */
  readonly #reached = new WeakSet<Endpoint>();
  readonly #deps: VerifierDeps;
  #dials = 0;

  constructor(deps: VerifierDeps) {
    this.#deps = deps;
  }

  adopt(table: RouteTable): void {
    const endpoints = new Map<string, Endpoint>();
    for (const route of table.apps.values()) {
      for (const endpoint of reachedEndpoints(route)) endpoints.set(endpointKey(endpoint), endpoint);
    }
    for (const [key, wanted] of this.#wanted) if (!endpoints.has(key)) this.#drop(key, wanted);
    for (const [key, endpoint] of endpoints) {
      const known = this.#wanted.get(key);
      if (known !== undefined) {
        known.endpoint = endpoint;
        if (known.standing.kind === "reached") this.#reached.add(endpoint);
        continue;
      }
      const standing = { kind: "waiting" } as const;
      this.#wanted.set(key, { endpoint, standing, reason: null, pauseMs: VERIFY_PAUSE_FIRST_MS });
    }
    this.#dialWaiting();
  }

  reached(endpoint: Endpoint): Reached {
    const wanted = this.#wanted.get(endpointKey(endpoint));
    if (wanted?.standing.kind === "reached") return { kind: "yes" };
    return wanted?.reason == null ? { kind: "not-yet" } : { kind: "no", reason: wanted.reason };
  }

  /** Of an endpoint of the newest table: whether it was reached once. */
  isReached(endpoint: Endpoint): boolean {
    return this.#reached.has(endpoint);
  }

  stop(): void {
    for (const [key, wanted] of this.#wanted) this.#drop(key, wanted);
  }

  #drop(key: string, { standing }: Wanted): void {
    this.#wanted.delete(key);
    if (standing.kind === "unreached") clearTimeout(standing.timer);
    if (standing.kind === "dialling") standing.end();
  }

  #dialWaiting(): void {
    for (const wanted of this.#wanted.values()) {
      if (this.#dials >= VERIFY_DIALS_MAX) return;
      if (wanted.standing.kind === "waiting") this.#dial(wanted);
    }
  }

  #dial(wanted: Wanted): void {
    this.#dials += 1;
    const { endpoint } = wanted;
    const onEnd = (reason: string | null) => {
      this.#dials -= 1;
      this.#judge(wanted, reason);
      this.#dialWaiting();
    };
    const end = endpoint.isGated ? this.#probe(endpoint, onEnd) : this.#dialItself(endpoint, onEnd);
    wanted.standing = { kind: "dialling", end };
  }

  #dialItself({ address }: Endpoint, onEnd: (reason: string | null) => void): () => void {
    const socket = dial(address, onEnd);
    return () => socket.destroy();
  }

  #probe(endpoint: Endpoint, onEnd: (reason: string | null) => void): () => void {
    const ending = new AbortController();
    this.#deps.gates.probe(endpoint, ending.signal).then(onEnd, (error) => onEnd(messageOf(error)));
    return () => ending.abort();
  }

  #judge(wanted: Wanted, reason: string | null): void {
    if (this.#wanted.get(endpointKey(wanted.endpoint)) !== wanted) return;
    wanted.reason = reason;
    if (reason === null) this.#reached.add(wanted.endpoint);
    wanted.standing =
      reason === null ? { kind: "reached" } : { kind: "unreached", timer: this.#again(wanted) };
    this.#deps.onChange();
  }

  #again(wanted: Wanted): NodeJS.Timeout {
    const { pauseMs } = wanted;
    wanted.pauseMs = Math.min(2 * pauseMs, VERIFY_PAUSE_LAST_MS);
    return setTimeout(() => {
      wanted.standing = { kind: "waiting" };
      this.#dialWaiting();
    }, pauseMs);
  }
}
