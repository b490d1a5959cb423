// Flights: who is in flight to which VM, so that a drain can see them all and cut what is left at its deadline.

import type { AppName, VmName } from "../../mesh/index.ts";
import { Drain, type Draining, type DrainReport } from "../core/drain.ts";
import { type AppRoute, EMPTY_TABLE, type Endpoint, isHeld, type RouteTable } from "../core/route-table.ts";
import { SUSPECT_MS } from "../limits.ts";
import { monotonicUnixMs } from "./clock.ts";

/** One request on its endpoint, from the pick to its end. */
export interface Flight {
  readonly endpoint: Endpoint;
  /** Ends it now, by leading to `release`. Set by who flies it. */
  onCut: () => void;
  /** Its endpoint left the table and nothing was sent there: it leads to `release` and to another try. Set by who flies it. */
  onRecall: () => void;
  /** Its endpoint left while the app's requests are held: what would run on without end is told to come back. Told again by each table. */
  onRestart: () => void;
  readonly isDispatched: boolean;
  /** Its bytes go out now. */
  dispatched(): void;
  /** It is over. Only the first call counts. */
  release(): void;
}

export interface FlightsDeps {
  /** A VM that left the table has drained, or was cut: who waits for that is told. */
  readonly onDrained: (app: AppName) => void;
  readonly onCut: (endpoint: Endpoint, requests: number) => void;
}

export class Flights {
  readonly #drain = new Drain();
  readonly #byVm = new Map<VmName, Set<Flight>>();
  /** Of requests by preview names, which no hold keeps. */
  readonly #previews = new WeakSet<Flight>();
  #table: RouteTable = EMPTY_TABLE;
  readonly #suspectUntil = new Map<VmName, number>();
  readonly #deps: FlightsDeps;
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: FlightsDeps) {
    this.#deps = deps;
  }

  adopt(table: RouteTable): void {
    this.#table = table;
    this.#drain.adopt(table, monotonicUnixMs());
    this.#recall();
    this.#schedule();
  }

  /** Counts a request in the breath that picked `endpoint` by `route`. */
  claim(endpoint: Endpoint, route: AppRoute): Flight {
    this.#drain.claim(endpoint);
    let isOver = false;
    let isDispatched = false;
    const flight: Flight = {
      endpoint,
      onCut: () => flight.release(),
      onRecall: () => undefined,
      onRestart: () => undefined,
      get isDispatched() {
        return isDispatched;
      },
      dispatched: () => {
        isDispatched = true;
        this.#drain.dispatched(endpoint, monotonicUnixMs());
      },
      release: () => {
        if (isOver) return;
        isOver = true;
        this.#release(flight);
      },
    };
    const flights = this.#byVm.get(endpoint.vm) ?? new Set();
    this.#byVm.set(endpoint.vm, flights.add(flight));
    if (this.#table.apps.get(route.app)?.preview === route) this.#previews.add(flight);
    return flight;
  }

  /** The table in force sends it there: false for one that was picked from an older table, and once its app is held. */
  isRouted(flight: Flight): boolean {
    return this.#drain.isRouted(flight.endpoint) && (!this.#isHeld(flight) || this.#previews.has(flight));
  }

  #isHeld({ endpoint }: Flight): boolean {
    const route = this.#table.apps.get(endpoint.app);
    return route !== undefined && isHeld(route);
  }

  /** Requests in flight, to all. */
  get total(): number {
    return [...this.#byVm.values()].reduce((sum, flights) => sum + flights.size, 0);
  }

  inFlight(vm: VmName): number {
    return this.#drain.inFlight(vm);
  }

  /** It could not be dialled. */
  suspect(vm: VmName): void {
    const nowMs = monotonicUnixMs();
    for (const [other, untilMs] of this.#suspectUntil) if (untilMs <= nowMs) this.#suspectUntil.delete(other);
    this.#suspectUntil.set(vm, nowMs + SUSPECT_MS);
  }

  isSuspect(vm: VmName): boolean {
    const untilMs = this.#suspectUntil.size === 0 ? undefined : this.#suspectUntil.get(vm);
    return untilMs !== undefined && untilMs > monotonicUnixMs();
  }

  report(app: AppName): DrainReport {
    return this.#drain.report(app);
  }

  draining(): readonly Draining[] {
    return this.#drain.draining();
  }

  /** Ends all that runs: we stop. */
  stop(): void {
    clearTimeout(this.#timer);
    for (const flights of this.#byVm.values()) for (const flight of [...flights]) flight.onCut();
  }

  /**
   * Who waits for a connection to a VM that left would wait for nothing: a VM that hangs gives none; of an app that is held, it waits with
   * the others from now on. What runs on a VM that left holds up whoever is held.
   */
  #recall(): void {
    for (const flights of this.#byVm.values()) {
      for (const flight of [...flights]) {
        if (this.isRouted(flight)) continue;
        if (!flight.isDispatched) flight.onRecall();
        else if (this.#isHeld(flight) && !this.#drain.isRouted(flight.endpoint)) flight.onRestart();
      }
    }
  }

  #release(flight: Flight): void {
    const { app, vm } = flight.endpoint;
    const flights = this.#byVm.get(vm);
    flights?.delete(flight);
    if (flights?.size === 0) this.#byVm.delete(vm);
    if (this.#drain.release(flight.endpoint)) this.#deps.onDrained(app);
  }

  /** One timer, for the earliest deadline. Nothing drains: none. */
  #schedule(): void {
    clearTimeout(this.#timer);
    const deadlines = this.#drain.draining().map(({ deadlineMs }) => deadlineMs);
    if (deadlines.length === 0) return;
    const delayMs = Math.max(0, Math.min(...deadlines) - monotonicUnixMs());
    // A longer delay would fire at once; on a shorter one we look again.
    this.#timer = setTimeout(() => this.#cutDue(), Math.min(delayMs + 1, 2 ** 31 - 1));
  }

  #cutDue(): void {
    const nowMs = monotonicUnixMs();
    for (const { endpoint, deadlineMs } of this.#drain.draining()) {
      if (deadlineMs <= nowMs) this.#cut(endpoint);
    }
    this.#schedule();
  }

  #cut(endpoint: Endpoint): void {
    const flights = [...(this.#byVm.get(endpoint.vm) ?? [])];
    for (const flight of flights) {
      this.#drain.recordCut(endpoint);
      flight.onCut();
    }
    if (flights.length > 0) this.#deps.onCut(endpoint, flights.length);
  }
}
