// Held requests: what this proxy keeps of each app while its record says so, and what it says to those that it cannot keep.

import { type AppName, describeDuration } from "../../mesh/index.ts";
import { type HeldRequest, HoldQueue, type Overflow } from "../core/hold.ts";
import { type AppRoute, type HoldRoute, type RouteTable } from "../core/route-table.ts";
import { HOLD_BODY_BYTES_MAX } from "../limits.ts";
import { monotonicUnixMs } from "./clock.ts";
import type { Exchange, Refusal } from "./exchange.ts";

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
  route: HoldRoute;
  timer: NodeJS.Timeout | undefined;
}

export class HeldRequests {
  /** Of apps that are held, or whose requests still go one after the other. */
  readonly #apps = new Map<AppName, Held>();
  readonly #released = new WeakSet<Exchange>();
  #isStopped = false;
  readonly #counts = { released: 0, expired: 0, refused: 0, longestMs: 0 };

  get counts(): HeldCounts {
    const all = [...this.#apps.values()].map(({ queue }) => queue);
    const waiting = all.reduce((sum, { size }) => sum + size, 0);
    return { ...this.#counts, waiting, bytes: all.reduce((sum, { bytes }) => sum + bytes, 0) };
  }

  waiting(app: AppName): number {
    return this.#apps.get(app)?.queue.size ?? 0;
  }

  adopt(table: RouteTable): void {
    for (const route of table.apps.values()) {
      if (route.hold.isHeld || this.#apps.has(route.app)) this.#adoptApp(route);
    }
  }

  /** It must wait for its turn, by `route` as it is in force. */
  mustWait(exchange: Exchange, { app, hold, isPreview }: AppRoute): boolean {
    if (isPreview) return false;
    const held = this.#apps.get(app);
    if (hold.isHeld) return true;
    return held !== undefined && !held.queue.isEmpty && !this.#released.has(exchange);
  }

  /** Resolves once it is its turn (or its client left), to null; or to why it is not sent anywhere. `arrivedAtMs`: of the request. */
  async wait(exchange: Exchange, { app, hold }: AppRoute, arrivedAtMs: number): Promise<Refusal | null> {
    const held = this.#heldOf(app, hold);
    const { promise, resolve } = Promise.withResolvers<Refusal | null>();
    const bytes = Math.min(exchange.body?.announcedBytes ?? 0, HOLD_BODY_BYTES_MAX);
    const request: Waiting = { arrivedAtMs, bytes, sinceMs: monotonicUnixMs(), tell: resolve };
    const over = held.queue.arrive(request);
    if (over !== null) {
      this.#counts.refused += 1;
      return refusalOfOver(app, over, held.route);
    }
    const leave = () => {
      held.queue.ended(request);
      resolve(null);
      this.#move(app);
    };
    exchange.response.once("close", leave);
    this.#move(app);
    const refusal = await promise;
    if (refusal === null) this.#released.add(exchange);
    else exchange.response.removeListener("close", leave);
    return refusal;
  }

  /** Nobody waits any longer: we stop. */
  stop(): void {
    this.#isStopped = true;
    for (const { timer } of this.#apps.values()) clearTimeout(timer);
  }

  #adoptApp({ app, hold }: AppRoute): void {
    const held = this.#heldOf(app, hold);
    held.route = hold;
    held.queue.set(hold.isHeld, hold.bounds, monotonicUnixMs());
    this.#move(app);
  }

  #heldOf(app: AppName, route: HoldRoute): Held {
    const known = this.#apps.get(app);
    if (known !== undefined) return known;
    const held: Held = { queue: new HoldQueue(), route, timer: undefined };
    held.queue.set(route.isHeld, route.bounds, monotonicUnixMs());
    this.#apps.set(app, held);
    return held;
  }

  #move(app: AppName): void {
    const held = this.#apps.get(app);
    if (held === undefined || this.#isStopped) return;
    clearTimeout(held.timer);
    const nowMs = monotonicUnixMs();
    const { released, expired, nextAtMs } = held.queue.moves(nowMs);
    for (const { tell, sinceMs } of released) {
      this.#counts.released += 1;
      this.#counts.longestMs = Math.max(this.#counts.longestMs, nowMs - sinceMs);
      tell(null);
    }
    for (const { tell } of expired) {
      this.#counts.expired += 1;
      tell(refusalOfOld(app, held.route));
    }
    if (nextAtMs !== null) held.timer = setTimeout(() => this.#move(app), Math.max(1, nextAtMs - nowMs));
    else if (!held.queue.isHeld) this.#apps.delete(app);
  }
}

function refusalOfOver(app: AppName, over: Overflow, { bounds }: HoldRoute): Refusal {
  const most = over === "requests" ? `${bounds.maxRequests} requests` : `${bounds.maxBytes} bytes of bodies`;
  const reason = `requests of ${app} are held, and ${most} wait here already`;
  return { status: 503, reason, retryAfterSeconds: RETRY_AFTER_S };
}

function refusalOfOld(app: AppName, { bounds }: HoldRoute): Refusal {
  const reason = `requests of ${app} are held, and this one has waited for ${describeDuration(bounds.maxAgeMs)}`;
  return { status: 503, reason, retryAfterSeconds: RETRY_AFTER_S };
}

/** A hold takes a second or so where all goes well. */
const RETRY_AFTER_S = 1;

