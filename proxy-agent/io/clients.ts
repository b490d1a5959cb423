// Clients: what one client was promised, from its request to the answer's cookies: it waits while this proxy goes by an older record than
// the one that the client has seen the work of; it gets its release; and it takes home what it got. Of an app that promises nothing, and
// of a request without our cookies, it costs a look.

import type { AppName } from "../../mesh/index.ts";
import {
  type ClientCookie,
  isNavigation,
  pageOf,
  readClientCookies,
  setClientCookie,
  stickyClient,
} from "../core/client-cookies.ts";
import { responseHeaders } from "../core/header-rules.ts";
import { type Choice, pickEndpoint } from "../core/pick-endpoint.ts";
import type { AppRoute, Endpoint } from "../core/route-table.ts";
import { Splits, type Turn } from "../core/split.ts";
import { pickSticky, placeOf } from "../core/sticky.ts";
import type { CatchUp } from "./catch-up.ts";
import type { Exchange, Refusal } from "./exchange.ts";

export interface ClientsDeps extends Pick<Choice, "random"> {
  readonly catchUp: Pick<CatchUp, "reach">;
}

/** What is known of the client of one request. */
interface Shown {
  readonly app: AppName;
  readonly cookies: readonly ClientCookie[];
  readonly place: number;
  readonly isPage: boolean;
  /** No later epoch than this counts: a majority of the voters has none. */
  unknownFrom: number;
  /** Of the last pick: what the answer brings home; null: nothing. */
  brings: { readonly of: Omit<ClientCookie, "release">; readonly maxAgeMs: number } | null;
}

/** A request, or another try of it. */
export interface Asked {
  readonly exchange: Exchange;
  readonly route: AppRoute;
  readonly turn: Turn | null;
}

export class Clients {
  readonly #deps: ClientsDeps;
  readonly #splits: Splits;
  readonly #shown = new WeakMap<Exchange, Shown>();

  constructor(deps: ClientsDeps) {
    this.#deps = deps;
    this.#splits = new Splits(deps);
  }

  /** Null: the table in force may have changed, or not: match anew if `route` is not in it. Else nothing may be sent by it. */
  async caughtUp(exchange: Exchange, route: AppRoute): Promise<Refusal | null> {
    const shown = this.#shownBy(exchange, route);
    const epoch = latestOf(shown);
    if (shown === null || epoch <= route.epoch) return null;
    const outcome = await this.#deps.catchUp.reach(route.app, epoch, exchange.gone);
    if (outcome === "unknown") shown.unknownFrom = Math.min(shown.unknownFrom, epoch);
    if (outcome !== "late") return null;
    const reason = `this proxy could not learn in time what is in force of ${route.app} since the last answer`;
    return { status: 503, reason, retryAfterSeconds: 1 };
  }

  /** True: what this client has seen is newer than `route`. */
  isBehind(exchange: Exchange, route: AppRoute): boolean {
    return latestOf(this.#shownBy(exchange, route)) > route.epoch;
  }

  pick(
    { exchange, route, turn }: Asked,
    choice: Choice,
  ): { readonly endpoint: Endpoint | undefined; readonly turn: Turn | null } {
    const { app, epoch, clients, endpoints } = route;
    const shown = clients === null ? null : this.#shownBy(exchange, route);
    if (clients === null || shown === null) return this.#splits.pick(route, turn, choice);
    const known = shown.cookies.filter((cookie) => cookie.epoch < shown.unknownFrom);
    if (clients.mode === "sticky") {
      const client = stickyClient(known, clients, shown.place);
      const sticky = { backs: clients.backs, place: client.place };
      shown.brings = { of: { app, epoch, sticky }, maxAgeMs: 0 };
      return { endpoint: pickSticky({ clients, endpoints }, client, choice), turn: null };
    }
    const { maxAgeMs, kept } = clients;
    shown.brings = shown.isPage ? { of: { app, epoch, sticky: null }, maxAgeMs } : null;
    const page = shown.isPage ? null : pageOf(known);
    const ofPage = [...endpoints, ...kept].filter(({ release }) => release === page?.release);
    const endpoint = pickEndpoint(ofPage, choice);
    return endpoint === undefined ? this.#splits.pick(route, turn, choice) : { endpoint, turn };
  }

  /** From the headers of the answer of `endpoint` to those that its client gets, with what that takes home. `added`: as in `responseHeaders`. */
  headersOf(
    exchange: Exchange,
    endpoint: Endpoint,
    added: () => Readonly<Record<string, string>>,
  ): (raw: readonly string[]) => string[] {
    return (raw) => [...responseHeaders(raw, added()), ...this.#cookiesFor(exchange, endpoint)];
  }

  #cookiesFor(exchange: Exchange, { app, release }: Endpoint): readonly string[] {
    const shown = this.#shown.get(exchange);
    if (shown?.brings == null || shown.app !== app) return [];
    const { of, maxAgeMs } = shown.brings;
    const cookies = setClientCookie({ ...of, release }, shown.cookies, maxAgeMs);
    return cookies.flatMap((cookie) => ["Set-Cookie", cookie]);
  }

  /** Null: neither the app nor the client has anything to say. */
  #shownBy(exchange: Exchange, { app, clients }: AppRoute): Shown | null {
    const held = this.#shown.get(exchange);
    // A newer table may give the hostname to another app.
    if (held?.app === app) return held;
    const { request, method } = exchange;
    const { headers } = request;
    const hasOurs = headers.cookie?.includes("grapevine.") === true;
    if (clients === null && !hasOurs) return null;
    const header = (name: string) => {
      const value = headers[name];
      return typeof value === "string" ? value : undefined;
    };
    const address = header("x-forwarded-for")?.split(",")[0]?.trim() ?? request.socket.remoteAddress ?? "";
    const shown: Shown = {
      app,
      cookies: hasOurs ? readClientCookies(request.rawHeaders, app) : [],
      place: placeOf([app, address, header("user-agent") ?? ""]),
      isPage: isNavigation(method, header),
      unknownFrom: Number.POSITIVE_INFINITY,
      brings: null,
    };
    this.#shown.set(exchange, shown);
    return shown;
  }
}

/** The newest record by which this client was answered; 0: none is known. */
function latestOf(shown: Shown | null): number {
  const epochs = (shown?.cookies ?? []).map(({ epoch }) => epoch);
  return Math.max(0, ...epochs.filter((epoch) => epoch < (shown?.unknownFrom ?? 0)));
}
