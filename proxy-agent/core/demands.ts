// Demands: of apps that may sleep, who asks this proxy for them, and what of that the voters are to know now: that nobody asked for one long
// enough, that somebody does again, that requests wait for one that sleeps. Whoever drives it says what time it is.

import { type AppName, type Demand, QUIET_REPEAT_MS } from "../../mesh/index.ts";
import type { AppRoute, RouteTable } from "./route-table.ts";

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

/** A request that is under way; null: of an app that never sleeps. */
export type UnderWay = Asked | null;

/** What has to be told at once, now that a request came. */
export type News = "wanted" | "not-quiet" | null;

export class Demands {
  readonly #apps = new Map<AppName, Asked>();

  adopt({ apps }: Pick<RouteTable, "apps">, nowMs: number): void {
    for (const route of apps.values()) {
      const asked = this.#apps.get(route.app);
      if (route.idleAfterMs === undefined) this.#apps.delete(route.app);
      else if (asked === undefined)
        this.#apps.set(route.app, { route, active: 0, lastMs: nowMs, toldQuietMs: null });
      else asked.route = route;
    }
  }

  began({ app }: AppRoute, nowMs: number): { readonly underWay: UnderWay; readonly news: News } {
    const asked = this.#apps.get(app);
    if (asked === undefined) return { underWay: null, news: null };
    const wasToldQuiet = asked.toldQuietMs !== null;
    asked.active += 1;
    asked.lastMs = nowMs;
    asked.toldQuietMs = null;
    // Of those that wait it is repeated anyway as long as there are any.
    if (isAsleep(asked)) return { underWay: asked, news: asked.active === 1 ? "wanted" : null };
    return { underWay: asked, news: wasToldQuiet ? "not-quiet" : null };
  }

  /** Returns when it is to be told next that nobody asks for its app. */
  ended(underWay: UnderWay, nowMs: number): number {
    if (underWay === null) return Number.POSITIVE_INFINITY;
    underWay.active -= 1;
    underWay.lastMs = nowMs;
    return quietDueAtMs(underWay);
  }

  demandOf({ app }: AppRoute, nowMs: number): readonly Demand[] {
    const asked = this.#apps.get(app);
    return asked === undefined ? [] : [describe(asked, nowMs)];
  }

  /** All apps that requests wait for because they sleep. */
  wanted(nowMs: number): readonly Demand[] {
    const wanted = [...this.#apps.values()].filter((asked) => asked.active > 0 && isAsleep(asked));
    return wanted.map((asked) => describe(asked, nowMs));
  }

  /** When something is due that `takeQuiet` gives; infinity: not before a request ended. */
  get quietDueAtMs(): number {
    return Math.min(...[...this.#apps.values()].map(quietDueAtMs));
  }

  /** All that nobody asked for long enough, as is to be told now; each again after a while. */
  takeQuiet(nowMs: number): readonly Demand[] {
    const due = [...this.#apps.values()].filter((asked) => quietDueAtMs(asked) <= nowMs);
    for (const asked of due) asked.toldQuietMs = nowMs;
    return due.map((asked) => describe(asked, nowMs));
  }
}

function isAsleep({ route: { hold } }: Asked): boolean {
  return hold.by === "idle";
}

function quietDueAtMs(asked: Asked): number {
  const { active, lastMs, toldQuietMs, route } = asked;
  if (active > 0 || isAsleep(asked)) return Number.POSITIVE_INFINITY;
  return toldQuietMs === null ? lastMs + (route.idleAfterMs ?? 0) : toldQuietMs + QUIET_REPEAT_MS;
}

function describe(asked: Asked, nowMs: number): Demand {
  const { active, lastMs, route } = asked;
  const quietMs = active > 0 ? null : Math.max(0, Math.floor(nowMs - lastMs));
  return { app: route.app, wanted: isAsleep(asked) ? active : 0, quietMs };
}
