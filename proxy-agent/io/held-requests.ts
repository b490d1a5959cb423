// Held requests: what this proxy keeps of each app while its record says so, and what it says to those that it cannot keep.

import { setTimeout as sleep } from "node:timers/promises";
import type { AppName } from "../../mesh/index.ts";
import { type HeldRequest, HoldQueue } from "../core/hold.ts";
import { type AppRoute, EMPTY_TABLE, type Endpoint, isHeld, type RouteTable } from "../core/route-table.ts";
import { HOLD_ASK_FIRST_MS, HOLD_ASK_LAST_MS, HOLD_BODY_BYTES_MAX } from "../limits.ts";
import type { CatchUp } from "./catch-up.ts";
import { monotonicUnixMs } from "./clock.ts";
import type { Exchange, Refusal } from "./exchange.ts";
import { refusalOfExpired, refusalOfOverflow } from "./refusals.ts";

/** Over all apps, since the start. */
export interface HeldCounts {
  /** That wait now, and what is kept of their bodies. */
  readonly waiting: number;
  readonly bytes: number;
  readonly released: number;
  readonly expired: number;
  readonly refused: number;
  /** The longest that one which was sent on had waited. */
  readonly longestMs: number;
}

/** A request that waits or was sent on, and is not over. */
interface Waiting extends HeldRequest {
  readonly sinceMs: number;
  readonly tell: (refusal: Refusal | null) => void;
}

interface Held {
  readonly queue: HoldQueue<Waiting>;
  /** In force. */
  route: AppRoute;
  timer: NodeJS.Timeout | undefined;
  isAsking: boolean;
}

export interface HeldDeps {
  readonly catchUp: Pick<CatchUp, "reach">;
}

export class HeldRequests {
  /** Of apps that are held, or whose requests still go one after the other. */
  readonly #apps = new Map<AppName, Held>();
  /** Of each that was sent on and is not over: has its queue forget it. */
  readonly #released = new WeakMap<Exchange, () => void>();
  /** Where each app's requests went last: the gates there know of a hold's end, also for who hears nothing else. */
  readonly #reached = new Map<AppName, readonly Endpoint[]>();
  #table: RouteTable = EMPTY_TABLE;
  readonly #stopped = new AbortController();
  readonly #deps: HeldDeps;
  readonly #counts = { released: 0, expired: 0, refused: 0, longestMs: 0 };

  constructor(deps: HeldDeps) {
    this.#deps = deps;
  }

  get counts(): HeldCounts {
    const all = [...this.#apps.values()].map(({ queue }) => queue);
    const waiting = all.reduce((sum, { size }) => sum + size, 0);
    return { ...this.#counts, waiting, bytes: all.reduce((sum, { bytes }) => sum + bytes, 0) };
  }

  waiting(app: AppName): number {
    return this.#apps.get(app)?.queue.size ?? 0;
  }

  adopt(table: RouteTable): void {
    const before = this.#table;
    this.#table = table;
    for (const route of table.apps.values()) {
      if (before.apps.get(route.app) === route) continue;
      if (route.hostnames.length === 0) this.#reached.delete(route.app);
      else if (route.endpoints.length > 0) this.#reached.set(route.app, route.endpoints);
      if (isHeld(route) || this.#apps.has(route.app)) this.#adoptApp(route);
    }
  }

  /** It must wait for its turn, by `route`, which is in force. */
  mustWait(exchange: Exchange, route: AppRoute): boolean {
    if (isHeld(route)) return true;
    const held = this.#apps.get(route.app);
    // By a preview name nobody is held, so nobody has to wait behind those who are.
    if (held === undefined || held.route.preview === route) return false;
    return !held.queue.isEmpty && !this.#released.has(exchange);
  }

  /** Resolves to null once it is its turn, else to why it is not sent anywhere. `arrivedAtMs`: of the request. */
  async wait(exchange: Exchange, route: AppRoute, arrivedAtMs: number): Promise<Refusal | null> {
    // It comes back.
    this.#released.get(exchange)?.();
    this.#released.delete(exchange);
    const held = this.#heldOf(route);
    const { promise, resolve } = Promise.withResolvers<Refusal | null>();
    const bytes = Math.min(exchange.body?.announcedBytes ?? 0, HOLD_BODY_BYTES_MAX);
    const request: Waiting = { arrivedAtMs, bytes, sinceMs: monotonicUnixMs(), tell: resolve };
    const over = held.queue.arrive(request);
    if (over !== null) {
      this.#counts.refused += 1;
      return refusalOfOverflow(route, over);
    }
    const end = () => {
      held.queue.ended(request);
      resolve(CLIENT_LEFT);
      if (!held.queue.isHeld) this.#move(route.app);
    };
    exchange.response.once("close", end);
    const unwatch = exchange.watchUpgrade();
    if (exchange.isGone) end();
    this.#move(route.app);
    const refusal = await promise;
    unwatch();
    const forget = () => {
      exchange.response.removeListener("close", end);
      held.queue.ended(request);
    };
    if (refusal === null) this.#released.set(exchange, forget);
    else forget();
    return refusal;
  }

  /** Nobody waits any longer: we stop. */
  stop(): void {
    this.#stopped.abort();
    for (const { timer } of this.#apps.values()) clearTimeout(timer);
  }

  #adoptApp(route: AppRoute): void {
    const held = this.#heldOf(route);
    held.route = route;
    held.queue.set(isHeld(route), route.hold.bounds, monotonicUnixMs());
    this.#move(route.app);
  }

  #heldOf(route: AppRoute): Held {
    const known = this.#apps.get(route.app);
    if (known !== undefined) return known;
    const held: Held = { queue: new HoldQueue(), route, timer: undefined, isAsking: false };
    held.queue.set(isHeld(route), route.hold.bounds, monotonicUnixMs());
    this.#apps.set(route.app, held);
    return held;
  }

  /** While somebody waits: what lifts the hold may come by no other way. */
  async #ask(held: Held): Promise<void> {
    if (held.isAsking) return;
    held.isAsking = true;
    const { signal } = this.#stopped;
    const isWaiting = () => !signal.aborted && held.queue.isHeld && !held.queue.isEmpty;
    for (let pauseMs = HOLD_ASK_FIRST_MS; isWaiting(); pauseMs = Math.min(2 * pauseMs, HOLD_ASK_LAST_MS)) {
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
      const { app, epoch } = held.route;
      if (isWaiting()) await this.#deps.catchUp.reach(app, epoch + 1, signal, this.#reached.get(app));
    }
    held.isAsking = false;
  }

  #move(app: AppName): void {
    const held = this.#apps.get(app);
    if (held === undefined || this.#stopped.signal.aborted) return;
    clearTimeout(held.timer);
    held.timer = undefined;
    const nowMs = monotonicUnixMs();
    const { released, expired, nextAtMs } = held.queue.moves(nowMs);
    for (const { tell, sinceMs } of released) {
      this.#counts.released += 1;
      this.#counts.longestMs = Math.max(this.#counts.longestMs, nowMs - sinceMs);
      tell(null);
    }
    for (const { tell } of expired) {
      this.#counts.expired += 1;
      tell(refusalOfExpired(held.route));
    }
    if (held.queue.isHeld && !held.queue.isEmpty) void this.#ask(held);
    if (nextAtMs !== null) held.timer = setTimeout(() => this.#move(app), Math.max(1, nextAtMs - nowMs));
    else if (!held.queue.isHeld) this.#apps.delete(app);
  }
}

/** Nobody is there to be told. */
const CLIENT_LEFT: Refusal = { status: 503, reason: "the client left" };
