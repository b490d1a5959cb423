// Away gates: gates that are dialled until they are back: one dial at a time for each, however many requests wait for it.

import { setTimeout as delay } from "node:timers/promises";
import { describeAddress, type Endpoint } from "../core/route-table.ts";
import { GATE_DIAL_PAUSE_FIRST_MS, GATE_DIAL_PAUSE_LAST_MS } from "../limits.ts";
import { dial } from "./dial.ts";

type Gated = Pick<Endpoint, "address">;

interface Watch {
  readonly back: PromiseWithResolvers<void>;
  readonly stop: AbortController;
  waiters: number;
}

export class AwayGates {
  readonly #watches = new Map<string, Watch>();

  /** Resolves when the gate of one of them takes connections, or on abort. Dialled while somebody waits, no longer. */
  async untilAny(endpoints: Iterable<Gated>, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const gates = new Map([...endpoints].map((endpoint) => [describeAddress(endpoint), endpoint]));
    const watches = [...gates].map(([key, endpoint]) => this.#watches.get(key) ?? this.#watch(key, endpoint));
    const { promise: aborted, resolve } = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => resolve(), { once: true });
    for (const watch of watches) watch.waiters += 1;
    await Promise.race([aborted, ...watches.map(({ back }) => back.promise)]);
    for (const watch of watches) {
      watch.waiters -= 1;
      if (watch.waiters === 0) watch.stop.abort();
    }
  }

  #watch(key: string, { address }: Gated): Watch {
    const watch: Watch = { back: Promise.withResolvers(), stop: new AbortController(), waiters: 0 };
    this.#watches.set(key, watch);
    const { signal } = watch.stop;
    // Who comes once nobody waits any more begins a watch of its own.
    signal.addEventListener("abort", () => this.#forget(key, watch), { once: true });
    void dialUntilThere(address, signal).then(() => {
      this.#forget(key, watch);
      watch.back.resolve();
    });
    return watch;
  }

  #forget(key: string, watch: Watch): void {
    if (this.#watches.get(key) === watch) this.#watches.delete(key);
  }
}

/** Also resolves on abort. */
async function dialUntilThere(address: Endpoint["address"], signal: AbortSignal): Promise<void> {
  let pauseMs = GATE_DIAL_PAUSE_FIRST_MS;
  while (!signal.aborted) {
    const { promise, resolve } = Promise.withResolvers<string | null>();
    const socket = dial(address, resolve);
    const abort = () => socket.destroy();
    signal.addEventListener("abort", abort, { once: true });
    const reason = await promise;
    signal.removeEventListener("abort", abort);
    if (reason === null) return;
    await delay(pauseMs, undefined, { signal }).catch(() => undefined);
    pauseMs = Math.min(2 * pauseMs, GATE_DIAL_PAUSE_LAST_MS);
  }
}
