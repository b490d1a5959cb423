// Demands: of apps that may sleep, who asks this proxy for them, and what of that the voters are to know now: that nobody asked for one long
// enough, that somebody does again, that requests wait for one that sleeps. Whoever drives it says what time it is.

import { type AppName, type Demand, QUIET_KEPT_MS, QUIET_REPEAT_MS } from "../../mesh/index.ts";
import type { AppRoute, RouteTable } from "./route-table.ts";

/** While a request runs and an earlier word of quiet still counts, that is taken back so often: one message may be lost. */
export const NOT_QUIET_REPEAT_MS = 1_000;
/** It counts from when it is heard. */
const QUIET_COUNTS_MS = QUIET_KEPT_MS + NOT_QUIET_REPEAT_MS;

/** One app. Of one that never sleeps too: it may be let, while a request of it runs. */
interface Asked {
  route: AppRoute;
  /** Requests that are under way: they wait, or run. */
  active: number;
  /** When the last one came or ended; at first when it might sleep. */
  lastMs: number;
  /** When it was told last that nobody asks for it; null: since somebody did it was not. */
  toldQuietMs: number | null;
  /** Until then a voter may count it quiet, by what it was told before. */
  countsQuietUntilMs: number;
  /** When that was taken back last. */
  toldAskedMs: number;
}

/** A request that is under way; null: of an app that we have not heard of. */
export type UnderWay = Asked | null;

/** What has to be told at once, now that a request came. */
export type News = "wanted" | "not-quiet" | null;

export class Demands {
  readonly #apps = new Map<AppName, Asked>();

  adopt({ apps }: Pick<RouteTable, "apps">, nowMs: number): void {
    for (const route of apps.values()) {
      const asked = this.#apps.get(route.app);
      if (asked === undefined) this.#apps.set(route.app, { ...UNTOLD, route, active: 0, lastMs: nowMs });
      else adoptRoute(asked, route, nowMs);
    }
  }

  /** `dueAtMs`: when something of its app is to be told next. */
  began(
    { app }: AppRoute,
    nowMs: number,
  ): { readonly underWay: UnderWay; readonly news: News; readonly dueAtMs: number } {
    const asked = this.#apps.get(app);
    if (asked === undefined) return { underWay: null, news: null, dueAtMs: Number.POSITIVE_INFINITY };
    const news = newsOf(asked, nowMs);
    return { underWay: asked, news, dueAtMs: dueAtMs(asked, nowMs) };
  }

  /** Returns when it is to be told next that nobody asks for its app. */
  ended(underWay: UnderWay, nowMs: number): number {
    if (underWay === null) return Number.POSITIVE_INFINITY;
    underWay.active -= 1;
    underWay.lastMs = nowMs;
    return dueAtMs(underWay, nowMs);
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

  /** When something is due that `takeDue` gives; infinity: not before a request begins or ends. */
  dueAtMs(nowMs: number): number {
    return Math.min(...[...this.#apps.values()].map((asked) => dueAtMs(asked, nowMs)));
  }

  /** All that nobody asked for long enough, as is to be told now, each again after a while; and all of which that is taken back. */
  takeDue(nowMs: number): readonly Demand[] {
    const due = [...this.#apps.values()].filter((asked) => dueAtMs(asked, nowMs) <= nowMs);
    for (const asked of due) {
      if (asked.active > 0) asked.toldAskedMs = nowMs;
      else Object.assign(asked, { toldQuietMs: nowMs, countsQuietUntilMs: nowMs + QUIET_COUNTS_MS });
    }
    return due.map((asked) => describe(asked, nowMs));
  }
}

const UNTOLD = {
  toldQuietMs: null,
  countsQuietUntilMs: Number.NEGATIVE_INFINITY,
  toldAskedMs: Number.NEGATIVE_INFINITY,
};

function adoptRoute(asked: Asked, route: AppRoute, nowMs: number): void {
  const isNew = asked.route.idleAfterMs === undefined && route.idleAfterMs !== undefined;
  asked.route = route;
  if (isNew) Object.assign(asked, { toldQuietMs: null, lastMs: nowMs });
}

/** Of one more request. */
function newsOf(asked: Asked, nowMs: number): News {
  const wasToldQuiet = asked.toldQuietMs !== null;
  asked.active += 1;
  asked.lastMs = nowMs;
  asked.toldQuietMs = null;
  // Of those that wait it is repeated anyway as long as there are any.
  if (isAsleep(asked)) return asked.active === 1 ? "wanted" : null;
  if (!wasToldQuiet) return null;
  asked.toldAskedMs = nowMs;
  return "not-quiet";
}

function isAsleep({ route: { hold } }: Asked): boolean {
  return hold.by === "idle";
}

function dueAtMs(asked: Asked, nowMs: number): number {
  const { active, lastMs, toldQuietMs, toldAskedMs, countsQuietUntilMs, route } = asked;
  if (isAsleep(asked) || route.idleAfterMs === undefined) return Number.POSITIVE_INFINITY;
  if (active > 0)
    return nowMs < countsQuietUntilMs ? toldAskedMs + NOT_QUIET_REPEAT_MS : Number.POSITIVE_INFINITY;
  return toldQuietMs === null ? lastMs + route.idleAfterMs : toldQuietMs + QUIET_REPEAT_MS;
}

function describe(asked: Asked, nowMs: number): Demand {
  const { active, lastMs, route } = asked;
  const quietMs = active > 0 ? null : Math.max(0, Math.floor(nowMs - lastMs));
  return { app: route.app, wanted: isAsleep(asked) ? active : 0, quietMs };
}
