// Sim request: one request of a client, from its proxy through a gate to a VM, with the tries that the proxy's own rules allow it.
// `executed-once` and `no-failed-request` are judged at its end.

import assert from "node:assert/strict";
import { HOLD_DEFAULTS, type VmName } from "../../mesh/index.ts";
import type { FlightId } from "../../proxy-agent/core/gate.ts";
import { type Match, matchRoute } from "../../proxy-agent/core/match-route.ts";
import type { Choice } from "../../proxy-agent/core/pick-endpoint.ts";
import { decideRetry, type Failure } from "../../proxy-agent/core/retry.ts";
import { type AppRoute, type Endpoint, reachedEndpoints } from "../../proxy-agent/core/route-table.ts";
import type { Turn } from "../../proxy-agent/core/split.ts";
import {
  GATE_CATCH_UPS_MAX,
  RETRY_PAUSE_FIRST_MS,
  RETRY_PAUSE_LAST_MS,
  RETRY_TIME_MAX_MS,
  TRIES_BEFORE_PAUSE_MAX,
  TRIES_MAX,
} from "../../proxy-agent/limits.ts";
import type { RequestDeps } from "./request-deps.ts";
import type { SimClient } from "./sim-client.ts";
import { SIM_HOSTNAME } from "./sim-driver.ts";
import type { Ticket } from "./sim-hold.ts";
import type { SimHost, SimVm } from "./sim-host.ts";
import type { SimProxy } from "./sim-proxy.ts";
import type { Timer } from "./sim-time.ts";
import { soundEndpoint } from "./sound.ts";

/** On its way, at work. Longer than a step of a rollout takes, so that drains have something to wait for. */
const LATENCIES_MS = [2, 12, 4];
const DURATIONS_MS = [30, 65, 12];
const NOT_SENT: Failure = { sent: false, responded: false, timedOut: false };
/** Answered 503, as is said of it. */
const CANNOT_CATCH_UP = "its proxy cannot catch up with what its client saw";
const BROKEN: Failure = { sent: true, responded: false, timedOut: false };

/** Where it is now: with its proxy; on its way there, by this table; at work there. */
interface Try {
  readonly endpoint: Endpoint;
  readonly route: AppRoute;
  readonly epoch: number;
  /** The gate that it went to. */
  readonly gateLives: number;
  readonly sentAtMs: number;
  flight: FlightId | null;
  vm: SimVm | null;
}

export class SimRequest {
  readonly number: number;
  readonly #proxy: SimProxy;
  readonly #client: SimClient;
  readonly #demand: SimProxy["demand"];
  readonly #deps: RequestDeps;
  readonly #arrivedAtMs: number;
  /** Of its tries: when it came, or was held last. */
  #startedAtMs: number;
  readonly #tried = new Set<VmName>();
  #turn: Turn | null = null;
  #tries = 0;
  #broken = 0;
  #catchUps = 0;
  #pauseMs = RETRY_PAUSE_FIRST_MS;
  #try: Try | null = null;
  #timer: Timer | null = null;
  #executions = 0;
  #isOver = false;
  #isPaused = false;
  /** It waits for its turn, or was sent on after it did. */
  #ticket: Ticket | null = null;
  /** It had its turn, and nobody holds it any more. */
  #isReleased = false;
  /** It was where something crashed. */
  #isStruck = false;
  #lastReason = "";

  constructor(number: number, proxy: SimProxy, client: SimClient, deps: RequestDeps) {
    this.number = number;
    this.#proxy = proxy;
    this.#client = client;
    this.#demand = proxy.demand;
    this.#deps = deps;
    this.#arrivedAtMs = deps.time.nowMs;
    this.#startedAtMs = deps.time.nowMs;
    client.begin(deps.time.nowMs);
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** With its proxy, which has not sent it anywhere. */
  get isWaiting(): boolean {
    return !this.#isOver && this.#try === null;
  }

  /** Every other one must not run twice. */
  get #method(): "GET" | "POST" {
    return this.number % 2 === 0 ? "GET" : "POST";
  }

  isFlight(flight: FlightId): boolean {
    return this.#try?.flight === flight;
  }

  start(): void {
    this.#demand?.began();
    this.#next();
  }

  /** The table of its proxy changed: who waits for another one looks again. */
  wake(): void {
    if (!this.#isPaused) return;
    this.#next();
  }

  /** Its gate, VM or machine ended while it was there. */
  broke(): void {
    const here = this.#try;
    if (this.#isOver || here === null) return;
    this.#deps.time.cancel(this.#timer);
    this.#isStruck ||= this.#deps.hostOf(here.endpoint).wasHarmed;
    this.#leave();
    this.#lastReason = `${here.endpoint.vm} ended with it`;
    this.#failed(BROKEN, here);
  }

  /** Its VM was given all the time that it had: at the drain deadline, which is said. */
  cut(): void {
    const here = this.#try;
    if (this.#isOver || here === null) return;
    this.#deps.time.cancel(this.#timer);
    assert.ok(
      here.vm?.isHung === true || this.#deps.isHarmed(),
      `no-failed-request: request ${this.number} is cut at ${here.endpoint.vm}`,
    );
    this.#leave();
    this.#end();
  }

  /** Its proxy ended: its client sees that. */
  abandon(): void {
    this.#deps.time.cancel(this.#timer);
    this.#leave();
    this.#isPaused = false;
    this.#isOver = true;
    this.#client.isBusy = false;
  }

  /** Matched, picked and claimed in one breath. */
  #next(): void {
    const { time, random } = this.#deps;
    time.cancel(this.#timer);
    this.#isPaused = false;
    const match = this.#match();
    if (match === null) return;
    if (match.kind !== "route" && this.#deps.isGone()) {
      this.#end();
      return;
    }
    if (match.kind === "unknown" || (match.kind === "empty" && !match.isComing)) {
      this.#lastReason = `${this.#proxy.name} has no VM to send it to`;
      this.#giveUp(false);
      return;
    }
    const choice = {
      tried: this.#tried,
      inFlight: (vm: VmName) => this.#proxy.inFlight(vm),
      isSuspect: () => false,
      random,
    };
    const isEnough = match.kind === "empty" || this.#tried.size >= TRIES_BEFORE_PAUSE_MAX;
    const endpoint = isEnough ? undefined : this.#pick(match.route, choice);
    if (endpoint === undefined) {
      this.#pause();
      return;
    }
    this.#send(match.route, endpoint);
  }

  #send(route: AppRoute, endpoint: Endpoint): void {
    const { time, hostOf } = this.#deps;
    this.#try = {
      endpoint,
      route,
      epoch: route.epoch,
      gateLives: hostOf(endpoint).gate.lives,
      sentAtMs: time.nowMs,
      flight: null,
      vm: null,
    };
    this.#proxy.claim(endpoint, this);
    this.#timer = time.after(LATENCIES_MS[this.number % LATENCIES_MS.length] ?? 1, () => this.#arrive());
  }

  /** By the table in force. Null: it waits for another one. */
  #match(): Match | null {
    let match = matchRoute(this.#proxy.table, SIM_HOSTNAME);
    if (match.kind !== "unknown" && this.#client.isBehind(match.route)) {
      this.#deps.catchUp(this.#proxy);
      match = matchRoute(this.#proxy.table, SIM_HOSTNAME);
      if (match.kind !== "unknown" && this.#client.isBehind(match.route)) {
        this.#lastReason = CANNOT_CATCH_UP;
        this.#pause();
        return null;
      }
    }
    const { hold, isHolding } = this.#proxy;
    if (!isHolding && (this.#isReleased || !hold.mustWait)) return match;
    this.#wait();
    return null;
  }

  /** In the order in which they came; when its turn comes it looks again. */
  #wait(): void {
    const { hold } = this.#proxy;
    if (this.#ticket !== null) hold.ended(this.#ticket);
    this.#isReleased = false;
    this.#ticket = {
      arrivedAtMs: this.#arrivedAtMs,
      bytes: 0,
      onReleased: () => {
        this.#isReleased = true;
        this.#startedAtMs = this.#deps.time.nowMs;
        this.#pauseMs = RETRY_PAUSE_FIRST_MS;
        this.#next();
      },
      onExpired: () => this.#expire(),
    };
    assert.ok(hold.wait(this.#ticket), "more requests are held than may be");
    this.#proxy.askForEnd();
  }

  /** Held for as long as it may be: a stated bound, answered 503. Nothing is opened by that. */
  #expire(): void {
    const ageMs = this.#deps.time.nowMs - this.#arrivedAtMs;
    assert.ok(
      ageMs >= HOLD_DEFAULTS.maxAgeMs,
      `no-failed-request: request ${this.number} is turned away after ${ageMs} ms of a hold`,
    );
    if (this.#deps.broken === "hold-expiry" && this.#sendAnywhere()) return;
    this.#deps.onExpired(this.#proxy);
    this.#end();
  }

  /** To whatever VM the table that holds it names. */
  #sendAnywhere(): boolean {
    const match = matchRoute(this.#proxy.table, SIM_HOSTNAME);
    const endpoint = match.kind === "unknown" ? undefined : reachedEndpoints(match.route)[0];
    if (match.kind === "unknown" || endpoint === undefined) return false;
    this.#send(match.route, endpoint);
    return true;
  }

  #pick(route: AppRoute, choice: Choice): Endpoint | undefined {
    const sticky = this.#client.pick(route, choice);
    if (sticky !== null) return sticky.endpoint;
    const { endpoint, turn } = this.#proxy.splits.pick(route, this.#turn, choice);
    if (endpoint !== undefined) this.#turn = turn;
    return endpoint;
  }

  #pause(): void {
    const { time } = this.#deps;
    const endAtMs = Math.min(time.nowMs + this.#pauseMs, this.#startedAtMs + RETRY_TIME_MAX_MS);
    if (endAtMs <= time.nowMs || this.#tries >= TRIES_MAX) {
      this.#giveUp(false);
      return;
    }
    this.#pauseMs = Math.min(2 * this.#pauseMs, RETRY_PAUSE_LAST_MS);
    this.#tried.clear();
    this.#isPaused = true;
    this.#timer = time.at(endAtMs, () => this.#next());
  }

  #arrive(): void {
    const here = this.#try as Try;
    const host = this.#deps.hostOf(here.endpoint);
    const { endpoint } = here;
    if (!endpoint.isGated) {
      this.#reach(here, host);
      return;
    }
    const { gate } = host;
    if (!gate.isUp || !host.isUp || gate.lives !== here.gateLives) {
      // Who wrote to it before it ended cannot know what became of that.
      const wasSent = gate.lives !== here.gateLives;
      this.#isStruck ||= wasSent;
      this.#leave();
      this.#lastReason = `the gate of ${host.name} is not there`;
      this.#failed(wasSent ? BROKEN : NOT_SENT, here);
      return;
    }
    const flight = this.#deps.newFlight();
    const why = gate.request(flight, endpoint.vm, here.epoch);
    if (why === null) {
      here.flight = flight;
      this.#reach(here, host);
      return;
    }
    this.#leave();
    this.#lastReason = `the gate of ${host.name} refused it: ${why}`;
    this.#catchUps += 1;
    const isLate = this.#deps.time.nowMs >= this.#startedAtMs + RETRY_TIME_MAX_MS;
    const mayCatchUp = !isLate && this.#catchUps <= GATE_CATCH_UPS_MAX;
    if (mayCatchUp && (why === "ahead" || why === "behind") && this.#proxy.agreeWith(gate, here.epoch))
      this.#next();
    else this.#failed(NOT_SENT, here);
  }

  #reach(here: Try, host: SimHost): void {
    const vm = host.isUp ? host.vms.get(here.endpoint.vm) : undefined;
    if (vm?.entry.state !== "running") {
      this.#leave();
      this.#lastReason = `${here.endpoint.vm} does not run`;
      this.#failed(NOT_SENT, here);
      return;
    }
    this.#deps.onDispatch(here.endpoint, here.epoch);
    here.vm = vm;
    vm.requests.add(this);
    this.#executions += 1;
    const isTwice = this.#method === "POST" && this.#executions > 1;
    assert.ok(!isTwice, `executed-once: request ${this.number} runs a second time, on ${here.endpoint.vm}`);
    this.#timer = this.#deps.time.after(DURATIONS_MS[this.number % DURATIONS_MS.length] ?? 1, () =>
      this.#finish(here),
    );
  }

  /** One that its VM does not answer waits until it is ended. */
  #finish(here: Try): void {
    if (here.vm?.isHung === true) {
      this.#timer = null;
      return;
    }
    this.#leave();
    assert.ok(this.#executions > 0, `executed-once: request ${this.number} is answered, and never ran`);
    const { endpoint, route, epoch, sentAtMs } = here;
    const isError = this.#deps.fate === "errs" && endpoint.release > 1;
    const waitMs = this.#deps.time.nowMs - sentAtMs;
    this.#proxy.count({ endpoint, epoch, end: isError ? "error" : "good", waitMs });
    this.#client.answered(route, endpoint, { sentAtMs, nowMs: this.#deps.time.nowMs });
    this.#end();
  }

  #leave(): void {
    const here = this.#try;
    if (here === null) return;
    this.#try = null;
    here.vm?.requests.delete(this);
    if (here.flight !== null) this.#deps.hostOf(here.endpoint).gate.ended(here.flight);
    this.#proxy.release(here.endpoint, this);
  }

  #failed(failure: Failure, { endpoint }: Try): void {
    this.#tries += 1;
    this.#tried.add(endpoint.vm);
    const decision = decideRetry(
      failure,
      { method: this.#method, hasBody: this.#method === "POST" },
      this.#broken,
    );
    if (failure.sent) this.#broken += 1;
    if (decision === "give-up") this.#giveUp(failure.sent);
    else this.#next();
  }

  /** It is reported failed. What was where something crashed may be; so may what no VM could have served. */
  #giveUp(wasSent: boolean): void {
    this.#end();
    const said = `no-failed-request: request ${this.number} of ${this.#proxy.name} failed: ${this.#lastReason}`;
    const isLost = this.#lastReason === CANNOT_CATCH_UP && this.#deps.isLost(this.#proxy);
    assert.ok(wasSent ? this.#isStruck : isLost || this.#deps.isHarmed(), said);
    if (wasSent || isLost || this.#isStruck) return;
    const sound = soundEndpoint(this.#proxy, this.#client, this.#deps);
    assert.ok(sound === undefined, `${said}; ${sound?.vm} could have served it`);
  }

  #end(): void {
    assert.ok(!this.#isOver, `executed-once: request ${this.number} is answered twice`);
    this.#isOver = true;
    this.#client.isBusy = false;
    this.#demand?.ended();
    if (this.#ticket !== null) this.#proxy.hold.ended(this.#ticket);
    this.#deps.onEnd(this);
  }
}
