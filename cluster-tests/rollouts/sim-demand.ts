// Sim demand: what a proxy says of who asks for an app that may sleep, as proxy-agent/io/demand-teller.ts has it: that nobody does for long
// enough, that somebody does again, and that some wait for it. It repeats itself, though not for ever.

import { type Demand, QUIET_REPEAT_MS, WANTED_REPEAT_MS } from "../../mesh/index.ts";
import type { AppRoute } from "../../proxy-agent/core/route-table.ts";
import type { SimCluster } from "./sim-cluster.ts";
import { SIM_APP } from "./sim-driver.ts";
import type { SimTime, Timer } from "./sim-time.ts";

const QUIETS_MAX = 12;
/** Still before what was said is old. */
const REPEAT_MS = 5 * WANTED_REPEAT_MS;

export class SimDemand {
  readonly #time: SimTime;
  readonly #isQuietTold: () => boolean;
  readonly #tell: (demand: Demand) => void;
  #route: AppRoute | null = null;
  #active = 0;
  #lastMs: number;
  #quiets = 0;
  #timer: Timer | null = null;

  constructor(time: SimTime, isQuietTold: () => boolean, tell: (demand: Demand) => void) {
    this.#time = time;
    this.#isQuietTold = isQuietTold;
    this.#tell = tell;
    this.#lastMs = time.nowMs;
  }

  adopt(route: AppRoute | null): void {
    this.#route = route;
    this.#look();
  }

  began(): void {
    const wasQuiet = this.#quiets > 0;
    this.#active += 1;
    this.#lastMs = this.#time.nowMs;
    this.#quiets = 0;
    if (wasQuiet && !this.#isAsleep) this.#say();
    this.#look();
  }

  ended(): void {
    this.#active -= 1;
    this.#lastMs = this.#time.nowMs;
    this.#look();
  }

  stop(): void {
    this.#time.cancel(this.#timer);
    this.#timer = null;
  }

  get #isAsleep(): boolean {
    return this.#route?.hold.by === "idle";
  }

  #look(): void {
    this.stop();
    if (this.#route?.idleAfterMs === undefined) return;
    if (this.#isAsleep && this.#active > 0) {
      this.#say();
      this.#timer = this.#time.after(REPEAT_MS, () => this.#look());
      return;
    }
    if (this.#isAsleep || this.#active > 0 || this.#quiets >= QUIETS_MAX || !this.#isQuietTold()) return;
    const dueAtMs =
      this.#quiets === 0 ? this.#lastMs + this.#route.idleAfterMs : this.#time.nowMs + QUIET_REPEAT_MS;
    this.#timer = this.#time.at(dueAtMs, () => {
      this.#quiets += 1;
      this.#say();
      this.#look();
    });
  }

  #say(): void {
    const quietMs = this.#active > 0 ? null : this.#time.nowMs - this.#lastMs;
    this.#tell({ app: SIM_APP, wanted: this.#isAsleep ? this.#active : 0, quietMs });
  }
}

/** Proxies say from now on who asks; that nobody does, as long as `isQuietTold` says. */
export function watchDemand(cluster: SimCluster, isQuietTold: () => boolean): void {
  for (const proxy of cluster.proxies.values())
    proxy.watchDemand((teller) => {
      return new SimDemand(cluster.time, isQuietTold, (demand) => {
        if (teller.isUp && !teller.isCut && !teller.isMute)
          cluster.tellAll({ kind: "demand", proxy: teller.name, demand });
      });
    });
}
