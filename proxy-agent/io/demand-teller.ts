// Demand teller: of apps that may sleep, tells every voter that nobody asked for one long enough, that somebody does again, and, of one that
// sleeps, that requests wait here: that at once, and again until its routes are others. While requests come and go nothing is told.

import {
  type AppName,
  DEMAND_TOPIC,
  DEMANDS_PER_MESSAGE_MAX,
  type Demand,
  type DemandMessage,
  encodeRecord,
  type Mesh,
  QUIET_REPEAT_MS,
  type VoterDirectory,
  WANTED_REPEAT_MS,
} from "../../mesh/index.ts";
import type { AppRoute, RouteTable } from "../core/route-table.ts";
import { monotonicUnixMs } from "./clock.ts";
import { connectedVoters } from "./connected-voters.ts";

export interface DemandTellerDeps {
  readonly mesh: Pick<Mesh, "self" | "members" | "tell">;
  readonly directory: Pick<VoterDirectory, "list">;
}

/** One app that may sleep. */
interface Asked {
  route: AppRoute;
  /** Requests that are under way: they wait, or run. */
  active: number;
  /** When the last one came or ended; at first when we began to look. */
  lastMs: number;
  /** When it was told last that nobody asks for it; null: since somebody did it was not. */
  toldQuietMs: number | null;
}

export class DemandTeller {
  readonly #deps: DemandTellerDeps;
  readonly #apps = new Map<AppName, Asked>();
  #timer: NodeJS.Timeout | undefined;
  #dueAtMs = Number.POSITIVE_INFINITY;
  #wanted: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(deps: DemandTellerDeps) {
    this.#deps = deps;
  }

  /** In the breath in which `table` came into force. */
  adopt(table: RouteTable): void {
    const nowMs = monotonicUnixMs();
    for (const route of table.apps.values()) {
      const asked = this.#apps.get(route.app);
      if (route.idleAfterMs === undefined) this.#apps.delete(route.app);
      else if (asked === undefined)
        this.#apps.set(route.app, { route, active: 0, lastMs: nowMs, toldQuietMs: null });
      else asked.route = route;
    }
    this.#tellWanted();
    this.#arm(nowMs);
  }

  /** A request for the app of `route` came. Returns what to call when it is over. */
  began(route: AppRoute): () => void {
    const asked = this.#apps.get(route.app);
    if (asked === undefined) return nothing;
    const wasTold = asked.toldQuietMs !== null;
    asked.active += 1;
    asked.lastMs = monotonicUnixMs();
    asked.toldQuietMs = null;
    if (isAsleep(asked) && asked.active === 1) this.#tellWanted();
    else if (!isAsleep(asked) && wasTold) this.#tell([demandOf(asked, asked.lastMs)]);
    return () => this.#ended(asked);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#wanted);
  }

  #ended(asked: Asked): void {
    asked.active -= 1;
    asked.lastMs = monotonicUnixMs();
    if (quietDueAtMs(asked) < this.#dueAtMs) this.#arm(asked.lastMs);
  }

  /** All apps that requests wait for because they sleep; again as long as there are any. */
  #tellWanted(): void {
    clearTimeout(this.#wanted);
    this.#wanted = undefined;
    const nowMs = monotonicUnixMs();
    const wanted = [...this.#apps.values()].filter((asked) => asked.active > 0 && isAsleep(asked));
    if (wanted.length === 0 || this.#isStopped) return;
    this.#tell(wanted.map((asked) => demandOf(asked, nowMs)));
    this.#wanted = setTimeout(() => this.#tellWanted(), WANTED_REPEAT_MS);
  }

  #tellQuiet(): void {
    const nowMs = monotonicUnixMs();
    const due = [...this.#apps.values()].filter((asked) => quietDueAtMs(asked) <= nowMs);
    for (const asked of due) asked.toldQuietMs = nowMs;
    this.#tell(due.map((asked) => demandOf(asked, nowMs)));
    this.#arm(nowMs);
  }

  /** One timer, for the first of which something is due. One that rings too early finds nothing. */
  #arm(nowMs: number): void {
    if (this.#isStopped) return;
    const dueAtMs = Math.min(...[...this.#apps.values()].map(quietDueAtMs));
    if (this.#timer !== undefined && this.#dueAtMs <= dueAtMs && this.#dueAtMs > nowMs) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#dueAtMs = dueAtMs;
    if (dueAtMs === Number.POSITIVE_INFINITY) return;
    const delayMs = Math.min(Math.max(1, Math.ceil(dueAtMs - nowMs)), DELAY_MS_MAX);
    this.#timer = setTimeout(() => this.#tellQuiet(), delayMs);
  }

  #tell(all: readonly Demand[]): void {
    const { mesh, directory } = this.#deps;
    for (let from = 0; from < all.length; from += DEMANDS_PER_MESSAGE_MAX) {
      const demands = all.slice(from, from + DEMANDS_PER_MESSAGE_MAX);
      const message: DemandMessage = { format: 1, proxy: mesh.self.name, demands };
      for (const voter of connectedVoters(mesh, directory))
        mesh.tell(voter, DEMAND_TOPIC, encodeRecord(message));
    }
  }
}

/** setTimeout's own bound. */
const DELAY_MS_MAX = 2 ** 31 - 1;

function nothing(): void {}

function isAsleep({ route: { hold } }: Asked): boolean {
  return hold.by === "idle";
}

/** When it is told next that nobody asks for it; infinity: somebody does, or it sleeps. */
function quietDueAtMs(asked: Asked): number {
  const { active, lastMs, toldQuietMs, route } = asked;
  if (active > 0 || isAsleep(asked)) return Number.POSITIVE_INFINITY;
  return toldQuietMs === null ? lastMs + (route.idleAfterMs ?? 0) : toldQuietMs + QUIET_REPEAT_MS;
}

function demandOf(asked: Asked, nowMs: number): Demand {
  const { active, lastMs, route } = asked;
  const quietMs = active > 0 ? null : Math.max(0, Math.floor(nowMs - lastMs));
  return { app: route.app, wanted: isAsleep(asked) ? active : 0, quietMs };
}
