// Forward: a request's way to a VM: match, pick and claim in one breath, send; when that fails and nothing can have run,
// again elsewhere, by the newest table. Gives up after a bounded number of tries and a bounded time.

import type { EndedTry } from "../core/canary-counts.ts";
import type { Refusal as GateRefusal } from "../core/gate.ts";
import { GATE_HEADER, type GateRequest, gateRequestHeader } from "../core/gate-headers.ts";
import { requestHeaders } from "../core/header-rules.ts";
import { matchRoute } from "../core/match-route.ts";
import { decideRetry, isRepeatable } from "../core/retry.ts";
import { type AppRoute, describeAddress, type Endpoint, isInForce } from "../core/route-table.ts";
import {
  GATE_BREAKS_MAX,
  GATE_CATCH_UPS_MAX,
  REPLAY_BYTES_MAX,
  RETRY_PAUSE_FIRST_MS,
  RETRY_PAUSE_LAST_MS,
  RETRY_WAITERS_MAX,
  TRIES_BEFORE_PAUSE_MAX,
  TRIES_MAX,
} from "../limits.ts";
import type { Arm } from "./arm.ts";
import { Attempt, type Outcome } from "./attempt.ts";
import type { AwayGates } from "./away-gates.ts";
import { Clients, type ClientsDeps } from "./clients.ts";
import { monotonicUnixMs } from "./clock.ts";
import type { DemandTeller } from "./demand-teller.ts";
import type { Exchange, ExchangeEnd, Refusal } from "./exchange.ts";
import type { Flight, Flights } from "./flights.ts";
import type { GateDesk } from "./gate-desk.ts";
import type { HeldRequests } from "./held-requests.ts";
import { type Journey, newJourney } from "./journey.ts";
import { refusalOfEmpty, refusalOfFailed, refusalOfGivenUp, refusalOfUnknown } from "./refusals.ts";
import type { RouteFeed } from "./route-feed.ts";
import type { Target } from "./target.ts";
import { endOf } from "./tried.ts";
import type { Upstreams } from "./upstreams.ts";

export interface ForwardOptions {
  /** Names release and VM in `grapevine-release` and `grapevine-vm` of each answer, and says `grapevine-stale` while it is. */
  readonly namesItself: boolean;
  /** From the arrival of a request to its last try: `RETRY_TIME_MAX_MS`, less in tests. */
  readonly retryTimeMs: number;
  /** The same while a gate is away: `GATE_AWAY_MAX_MS`, less in tests. */
  readonly gateAwayMs: number;
}

export interface ForwardDeps extends ClientsDeps {
  readonly feed: Pick<RouteFeed, "table" | "nextTable">;
  readonly flights: Flights;
  readonly upstreams: Upstreams;
  readonly gates: Pick<GateDesk, "learn" | "handIn">;
  readonly away: Pick<AwayGates, "untilAny">;
  readonly held: Pick<HeldRequests, "mustWait" | "wait">;
  readonly demand: Pick<DemandTeller, "began">;
  /** Null: every gate is reached as those of other hosts. */
  readonly arm: Pick<Arm, "claim"> | null;
  /** The routes are those of before a crash. */
  readonly isStale: () => boolean;
  readonly onRetry: () => void;
  /** A gate refused it. */
  readonly onRefused: (why: GateRefusal) => void;
  /** A try brought no answer, or broke its answer off; what comes of it is not decided yet. */
  readonly onFailure: (endpoint: Endpoint, reason: string) => void;
  /** A try that was sent is over, and says something of its VM. Of an upgrade nothing is told: its pipe may stand for hours. */
  readonly onTried: (tried: EndedTry) => void;
}

/** Of what a try is made. */
export interface Tried {
  readonly flight: Flight;
  /** Of the table by which its endpoint was picked. */
  readonly epoch: number;
  /** None broke before. */
  readonly isFirst: boolean;
}

/** One try at the flight's endpoint. Resolves when it is over; `flight` was released by then. */
type Try = (tried: Tried) => Promise<Outcome>;

type Next =
  | { readonly flight: Flight; readonly epoch: number }
  | { readonly refusal: Refusal; readonly route: AppRoute | null };

export class Forwarder {
  readonly #options: ForwardOptions;
  readonly #deps: ForwardDeps;
  readonly #clients: Clients;
  #waiters = 0;

  constructor(options: ForwardOptions, deps: ForwardDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#clients = new Clients(deps);
  }

  /** An ordinary request. Resolves once it is over; the answer was given by then, if its client was there. */
  forward(exchange: Exchange, target: Target): Promise<ExchangeEnd> {
    return this.run(exchange, target, (tried) => this.#send(exchange, target, tried));
  }

  /** Tries endpoint after endpoint until one try is an answer or nothing more may be tried. */
  async run(exchange: Exchange, target: Target, attempt: Try): Promise<ExchangeEnd> {
    const { route } = matchRoute(this.#deps.feed.table, target.hostname);
    const ended = route === null ? null : this.#deps.demand.began(route);
    return this.#run(exchange, target, attempt).finally(ended);
  }

  async #run(exchange: Exchange, target: Target, attempt: Try): Promise<ExchangeEnd> {
    const journey = newJourney();
    for (;;) {
      const next = await this.#next(exchange, target, journey);
      if ("refusal" in next) return refuse(exchange, next.route, next.refusal);
      const { flight, epoch } = next;
      const { endpoint } = flight;
      const outcome = await attempt({ flight, epoch, isFirst: journey.broken + journey.brokenAtGate === 0 });
      if (outcome.kind === "refused" && (await this.#caughtUp(outcome, { endpoint, epoch, journey })))
        continue;
      const end = this.#judge(outcome, { exchange, endpoint, journey });
      if (end !== null) return end;
      this.#deps.onRetry();
    }
  }

  /** True: the gate or we go by a newer record now than when it refused, so that another try at once may go better. */
  async #caughtUp(
    { why, bytes }: Extract<Outcome, { kind: "refused" }>,
    { endpoint, epoch, journey }: { endpoint: Endpoint; epoch: number; journey: Journey },
  ): Promise<boolean> {
    journey.catchUps += 1;
    this.#deps.onRefused(why);
    // The first refusal may come late because this process or the gate stood still: no record was tried but the one that is old now.
    const isLate = monotonicUnixMs() >= journey.startedAtMs + this.#options.retryTimeMs;
    if ((isLate && journey.catchUps > 1) || journey.catchUps > GATE_CATCH_UPS_MAX) return false;
    const { gates, feed } = this.#deps;
    if (why === "behind") return gates.handIn(endpoint);
    if (why === "ahead") await gates.learn(endpoint, bytes);
    return (feed.table.apps.get(endpoint.app)?.epoch ?? 0) > epoch;
  }

  #send(exchange: Exchange, target: Target, { flight, epoch, isFirst }: Tried): Promise<Outcome> {
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    const { flights, arm } = this.#deps;
    const armed = arm?.claim(flight, epoch) ?? null;
    const endpoint = armed?.endpoint ?? flight.endpoint;
    const attempt = new Attempt(exchange, flight, {
      isRouted: () => flights.isRouted(flight) && (armed === null || armed.isGranted()),
      responseHeaders: this.headersOf(exchange, endpoint),
      isGated: endpoint.isGated,
      onOutcome: (outcome) => {
        armed?.end();
        const end = flight.isDispatched ? endOf(outcome, attempt.isAnswered) : null;
        if (end !== null)
          this.#deps.onTried({ endpoint: flight.endpoint, epoch, end, waitMs: attempt.waitMs });
        resolve(outcome);
      },
    });
    const { method, request, body } = exchange;
    const address = request.socket.remoteAddress ?? "unknown";
    const headers = requestHeaders(request.rawHeaders, { address, host: target.host, isUpgrade: false });
    const once = !isFirst || !isRepeatable({ method, hasBody: body !== null });
    const claims = endpoint.isGated && (body?.announcedBytes ?? 0) > REPLAY_BYTES_MAX;
    if (endpoint.isGated) {
      const errand = claims ? "claim" : isFirst ? "pass" : "afresh";
      headers.push(...gateHeader(endpoint, { errand, epoch }));
    }
    const stream = body?.open(claims ? REPLAY_BYTES_MAX : undefined) ?? null;
    const options = { method, path: target.path, headers, body: stream, once };
    const isTaken = this.#deps.upstreams.dispatch(endpoint, options, attempt);
    if (!isTaken) attempt.refuse();
    return promise;
  }

  /** From the headers of an answer of `endpoint` to those that the client gets. */
  headersOf(exchange: Exchange, endpoint: Endpoint): (raw: readonly string[]) => string[] {
    return this.#clients.headersOf(exchange, endpoint, () => this.#signature(endpoint));
  }

  #signature(endpoint: Endpoint): Readonly<Record<string, string>> {
    if (!this.#options.namesItself) return {};
    return { "grapevine-release": `v${endpoint.release}`, "grapevine-vm": endpoint.vm, ...this.marks() };
  }

  /** Headers that any answer gets, our own included. */
  marks(): Readonly<Record<string, string>> {
    return this.#options.namesItself && this.#deps.isStale() ? { "grapevine-stale": "1" } : {};
  }

  /** Null: try again. */
  #judge(
    outcome: Outcome,
    { exchange, endpoint, journey }: { exchange: Exchange; endpoint: Endpoint; journey: Journey },
  ): ExchangeEnd | null {
    const { app, release } = endpoint;
    if (outcome.kind === "answered") return { app, release, status: outcome.status };
    if (outcome.kind === "gone") return { app, release, status: 499 };
    if (outcome.kind === "stale") return null;
    if (outcome.kind === "refused") {
      const reason = `the gate of ${endpoint.host} refused it: ${outcome.why}`;
      return this.#judgeFailure({ ...REFUSED, reason }, { exchange, endpoint, journey });
    }
    if (outcome.kind === "unsendable") {
      exchange.refuse({ status: 400, reason: outcome.reason });
      return { app, release, status: 400 };
    }
    if (outcome.kind === "cut") {
      const reason = `${endpoint.vm} left and was given ${endpoint.drainTimeoutMs} ms to finish this request`;
      exchange.refuse({ status: 504, reason });
      return { app, release, status: exchange.response.statusCode };
    }
    this.#deps.onFailure(endpoint, outcome.reason);
    if (outcome.kind === "broken") {
      exchange.response.destroy();
      return { app, release, status: 0 };
    }
    return this.#judgeFailure(outcome, { exchange, endpoint, journey });
  }

  #judgeFailure(
    failure: Extract<Outcome, { kind: "failed" }>,
    { exchange, endpoint, journey }: { exchange: Exchange; endpoint: Endpoint; journey: Journey },
  ): ExchangeEnd | null {
    if (!failure.sent) this.#deps.flights.suspect(endpoint.vm);
    journey.tries += 1;
    journey.tried.add(endpoint.vm);
    journey.lastReason = `${endpoint.vm} at ${describeAddress(endpoint)}: ${failure.reason}`;
    journey.lastStatus = failure.status;
    const { method, body } = exchange;
    if (failure.gate === "away") journey.away.add(endpoint);
    // A gate that dies may break it again while its listener still stands: that says nothing of the request.
    const isOfGate = failure.gate === "broken" && journey.brokenAtGate < GATE_BREAKS_MAX;
    const before = isOfGate ? 0 : journey.broken + journey.brokenAtGate;
    const decision = decideRetry(failure, { method, hasBody: body !== null }, before);
    journey.isAtOnce = decision === "once-more" && journey.brokenAtGate === 0;
    if (failure.sent && isOfGate) journey.brokenAtGate += 1;
    else if (failure.sent) journey.broken += 1;
    if (decision !== "give-up" && (body?.canReplay ?? true)) return null;
    const { app, release } = endpoint;
    exchange.refuse({ status: failure.status, reason: journey.lastReason });
    return { app, release, status: failure.status };
  }

  /** The next try: matched, picked and claimed in one breath, by the table in force. Waits when all were tried. */
  async #next(exchange: Exchange, target: Target, journey: Journey): Promise<Next> {
    for (;;) {
      const { table } = this.#deps.feed;
      const match = matchRoute(table, target.hostname);
      if (match.kind === "unknown") return refusedUnknown(match.hostname, journey);
      if (this.#clients.isBehind(exchange, match.route)) {
        const refusal = await this.#clients.caughtUp(exchange, match.route);
        if (refusal !== null) return { route: match.route, refusal };
        continue;
      }
      if (this.#deps.held.mustWait(exchange, match.route)) {
        const refusal = await this.#hold(exchange, match.route, journey);
        if (refusal !== null) return { route: match.route, refusal };
        continue;
      }
      if (match.kind === "empty" && !match.isComing)
        return { route: match.route, refusal: refusalOfEmpty(match.route) };
      const endpoint = match.kind === "route" ? this.#pick(exchange, match.route, journey) : undefined;
      if (endpoint !== undefined)
        return { flight: this.#deps.flights.claim(endpoint, match.route), epoch: match.route.epoch };
      if (journey.isAtOnce) journey.isAtOnce = false;
      else if (!(await this.#pause(exchange, journey, match)))
        return { route: match.route, refusal: refusalOfFailed(match.route, journey) };
      journey.tried.clear();
      journey.away.clear();
    }
  }

  /** Null: it is its turn, by whatever table is in force now. */
  async #hold(exchange: Exchange, route: AppRoute, journey: Journey): Promise<Refusal | null> {
    const sinceMs = monotonicUnixMs();
    const refusal = await this.#deps.held.wait(exchange, route, journey.arrivedAtMs);
    const nowMs = monotonicUnixMs();
    journey.heldFor = route;
    journey.heldMs += nowMs - sinceMs;
    journey.startedAtMs = nowMs;
    journey.pauseMs = RETRY_PAUSE_FIRST_MS;
    return refusal;
  }

  /** Undefined: all were tried, or enough of them for now. */
  #pick(exchange: Exchange, route: AppRoute, journey: Journey): Endpoint | undefined {
    if (journey.tried.size >= TRIES_BEFORE_PAUSE_MAX) return undefined;
    const { flights, random } = this.#deps;
    const { endpoint, turn } = this.#clients.pick(
      { exchange, route, turn: journey.turn },
      {
        tried: journey.tried,
        inFlight: (vm) => flights.inFlight(vm),
        isSuspect: (vm) => flights.isSuspect(vm),
        random,
      },
    );
    journey.turn = turn;
    return endpoint;
  }

  /** False: no time or no try is left, the client left, or too many wait already. */
  async #pause(exchange: Exchange, journey: Journey, match: { readonly route: AppRoute }): Promise<boolean> {
    const nowMs = monotonicUnixMs();
    const { retryTimeMs, gateAwayMs } = this.#options;
    const isAway = journey.away.size > 0;
    // Whoever knows what to wait for needs no pause: a gate that is back ends the wait.
    const isForGates = isAway && journey.tried.size === journey.away.size;
    // The first pause is always there: of a first try that took all the time nobody knows what stood still meanwhile.
    const isFirst = journey.pauseMs === RETRY_PAUSE_FIRST_MS;
    const triesEndMs = isFirst ? Number.POSITIVE_INFINITY : journey.startedAtMs + retryTimeMs;
    const lastMs = isAway
      ? journey.arrivedAtMs + journey.heldMs + Math.max(retryTimeMs, gateAwayMs)
      : triesEndMs;
    const endAtMs = isForGates ? lastMs : Math.min(nowMs + journey.pauseMs, lastMs);
    if (endAtMs <= nowMs || exchange.isGone || journey.tries >= TRIES_MAX) return false;
    if (this.#waiters >= RETRY_WAITERS_MAX) return false;
    journey.pauseMs = isForGates ? RETRY_PAUSE_FIRST_MS : Math.min(2 * journey.pauseMs, RETRY_PAUSE_LAST_MS);
    this.#waiters += 1;
    await this.#untilOther(match.route, endAtMs, exchange, journey.away);
    this.#waiters -= 1;
    // It tried nothing meanwhile, and a gate that is back may go by an older record, or be shut for a moment.
    if (isAway) journey.startedAtMs = monotonicUnixMs();
    return !exchange.isGone;
  }

  /**
   * Until the app's routes are others, or one of the gates `away` is back, or the time is over, or the client left. What changes for
   * other apps is no news.
   */
  async #untilOther(
    route: AppRoute,
    endAtMs: number,
    exchange: Exchange,
    away: ReadonlySet<Endpoint>,
  ): Promise<void> {
    const { feed } = this.#deps;
    const over = new AbortController();
    const back = new AbortController();
    const signal = AbortSignal.any([exchange.gone, back.signal]);
    if (away.size > 0) void this.#deps.away.untilAny(away, over.signal).then(() => back.abort());
    while (isInForce(feed.table, route) && !signal.aborted) {
      const leftMs = endAtMs - monotonicUnixMs();
      if (leftMs <= 0) break;
      await feed.nextTable(leftMs, signal);
    }
    over.abort();
  }
}

/** Nothing of it reached a VM. */
const REFUSED = {
  kind: "failed",
  status: 503,
  sent: false,
  responded: false,
  timedOut: false,
  gate: null,
} as const;

/** What an attempt says to the gate of its endpoint, flat. */
export function gateHeader(
  { app, vm }: Endpoint,
  { errand, epoch }: Pick<GateRequest, "errand" | "epoch">,
): string[] {
  return [GATE_HEADER, gateRequestHeader({ errand, app, vm, epoch })];
}

function refuse(exchange: Exchange, route: AppRoute | null, refusal: Refusal): ExchangeEnd {
  const isGone = exchange.isGone;
  exchange.refuse(refusal);
  return { app: route?.app ?? null, release: null, status: isGone ? 499 : refusal.status };
}

/** Who waited for it when its names were freed did not ask for an app that nobody knows. */
function refusedUnknown(hostname: string, { heldFor }: Journey): Next {
  return heldFor === null
    ? { route: null, refusal: refusalOfUnknown(hostname) }
    : { route: heldFor, refusal: refusalOfGivenUp(heldFor) };
}
