// Demand teller: tells every voter who asks for apps that may sleep. That requests wait for one is told at once, and again until its routes are
// others; that nobody asks for one, when it has been so for long enough, and, while an earlier word of that counts, that somebody does. Else nothing is
// told while requests come and go.

import {
  DEMAND_TOPIC,
  DEMANDS_PER_MESSAGE_MAX,
  type Demand,
  type DemandMessage,
  WANTED_REPEAT_MS,
} from "../../mesh/index.ts";
import { Demands, type UnderWay } from "../core/demands.ts";
import type { AppRoute, RouteTable } from "../core/route-table.ts";
import { monotonicUnixMs } from "./clock.ts";
import { type TellVotersDeps, tellVoters } from "./tell-voters.ts";

/** setTimeout's own bound. */
const DELAY_MS_MAX = 2 ** 31 - 1;

export class DemandTeller {
  readonly #deps: TellVotersDeps;
  readonly #demands = new Demands();
  #timer: NodeJS.Timeout | undefined;
  /** When it rings; infinity: it is not set. */
  #dueAtMs = Number.POSITIVE_INFINITY;
  #repeat: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(deps: TellVotersDeps) {
    this.#deps = deps;
  }

  /** In the breath in which `table` came into force. */
  adopt(table: RouteTable): void {
    const nowMs = monotonicUnixMs();
    this.#demands.adopt(table, nowMs);
    this.#tellWanted();
    this.#arm(this.#demands.dueAtMs(nowMs));
  }

  /** A request for the app of `route` came. Returns what to call when it is over. */
  began(route: AppRoute): () => void {
    const nowMs = monotonicUnixMs();
    const { underWay, news, dueAtMs } = this.#demands.began(route, nowMs);
    if (news === "wanted") this.#tellWanted();
    if (news === "not-quiet") this.#tell(this.#demands.demandOf(route, nowMs));
    this.#arm(dueAtMs);
    return () => this.#ended(underWay);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#repeat);
  }

  #ended(underWay: UnderWay): void {
    this.#arm(this.#demands.ended(underWay, monotonicUnixMs()));
  }

  #tellWanted(): void {
    clearTimeout(this.#repeat);
    const wanted = this.#demands.wanted(monotonicUnixMs());
    if (wanted.length === 0 || this.#isStopped) return;
    this.#tell(wanted);
    this.#repeat = setTimeout(() => this.#tellWanted(), WANTED_REPEAT_MS);
  }

  #tellDue(): void {
    this.#dueAtMs = Number.POSITIVE_INFINITY;
    const nowMs = monotonicUnixMs();
    this.#tell(this.#demands.takeDue(nowMs));
    this.#arm(this.#demands.dueAtMs(nowMs));
  }

  /** One timer, for the first of which something is due. One that rings too early finds nothing. */
  #arm(dueAtMs: number): void {
    if (dueAtMs >= this.#dueAtMs || this.#isStopped) return;
    clearTimeout(this.#timer);
    this.#dueAtMs = dueAtMs;
    const delayMs = Math.max(1, Math.ceil(dueAtMs - monotonicUnixMs()));
    this.#timer = setTimeout(() => this.#tellDue(), Math.min(delayMs, DELAY_MS_MAX));
  }

  #tell(all: readonly Demand[]): void {
    const proxy = this.#deps.mesh.self.name;
    for (let from = 0; from < all.length; from += DEMANDS_PER_MESSAGE_MAX) {
      const demands = all.slice(from, from + DEMANDS_PER_MESSAGE_MAX);
      const message: DemandMessage = { format: 1, proxy, demands };
      tellVoters(this.#deps, DEMAND_TOPIC, message);
    }
  }
}
