// Gate flights: the requests that the gate admitted, each from its admission to its end.

import type { AppName, VmName, VmPlace } from "../../../mesh/index.ts";
import type { FlightId } from "../../core/gate.ts";
import type { Endpoint } from "../../core/route-table.ts";
import type { Flight } from "../flights.ts";

export interface GateFlightsDeps {
  readonly onEnded: (flight: FlightId) => void;
}

export class GateFlights {
  readonly #flights = new Map<FlightId, Flight>();
  readonly #deps: GateFlightsDeps;
  #last = 0;

  constructor(deps: GateFlightsDeps) {
    this.#deps = deps;
  }

  /** For a request that is about to be judged. */
  nextId(): FlightId {
    this.#last += 1;
    return this.#last as FlightId;
  }

  /** One that was admitted. `release` must follow. */
  begin(id: FlightId, app: AppName, place: VmPlace): Flight {
    let isDispatched = false;
    const flight: Flight = {
      endpoint: endpointAt(app, place),
      onCut: () => flight.release(),
      onRecall: () => undefined,
      onRestart: () => undefined,
      get isDispatched() {
        return isDispatched;
      },
      dispatched: () => {
        isDispatched = true;
      },
      release: () => {
        if (this.#flights.delete(id)) this.#deps.onEnded(id);
      },
    };
    this.#flights.set(id, flight);
    return flight;
  }

  /** Of a VM that was closed: who waits for a connection to it is told no now. */
  recall(vms: ReadonlySet<VmName>): void {
    for (const flight of [...this.#flights.values()])
      if (vms.has(flight.endpoint.vm) && !flight.isDispatched) flight.onRecall();
  }

  cut(ids: readonly FlightId[]): void {
    for (const id of ids) this.#flights.get(id)?.onCut();
  }

  stop(): void {
    for (const flight of [...this.#flights.values()]) flight.onCut();
  }
}

/** Only name and address matter here: which VM is asked was decided by the proxy. */
function endpointAt(app: AppName, { vm, host, port }: VmPlace): Endpoint {
  const address = { host, port };
  return {
    vm,
    app,
    release: 0,
    host: NOWHERE,
    address,
    isGated: false,
    healthy: true,
    hostAway: false,
    drainTimeoutMs: 0,
  };
}

const NOWHERE = "" as Endpoint["host"];
