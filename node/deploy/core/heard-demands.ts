// Heard demands: what each proxy said last of who asks for an app that may sleep, and how long ago. What is old says nothing. Pure.

import { type Demand, type MemberName, QUIET_KEPT_MS, WANTED_REPEAT_MS } from "../../../mesh/index.ts";

/** Some may be lost, and a busy machine be late: whoever still waits says so again and again. */
const WANTED_KEPT_MS = 10 * WANTED_REPEAT_MS;

interface Heard {
  readonly demand: Demand;
  readonly atMs: number;
}

export class HeardDemands {
  readonly #heard = new Map<MemberName, Heard>();

  take(proxy: MemberName, demand: Demand, nowMs: number): void {
    this.#heard.set(proxy, { demand, atMs: nowMs });
  }

  /** Requests that proxies keep because the app sleeps, as they said a moment ago. */
  wanted(nowMs: number): number {
    const heard = [...this.#heard.values()].filter(({ atMs }) => nowMs - atMs < WANTED_KEPT_MS);
    return heard.reduce((sum, { demand }) => sum + demand.wanted, 0);
  }

  /** For how long nobody asked each proxy for the app, of those that said so lately. Who is not in it may be asked all the time. */
  quietMs(nowMs: number): ReadonlyMap<MemberName, number> {
    const quiet = new Map<MemberName, number>();
    for (const [proxy, { demand, atMs }] of this.#heard)
      if (demand.quietMs !== null && nowMs - atMs < QUIET_KEPT_MS) quiet.set(proxy, demand.quietMs);
    return quiet;
  }
}
