// Request deps: what a simulated request needs of the cluster that it is in.

import type { FlightId } from "../../proxy-agent/core/gate.ts";
import type { Endpoint } from "../../proxy-agent/core/route-table.ts";
import type { BreakName } from "./breaks.ts";
import type { Fate } from "./scenarios.ts";
import type { SimHost } from "./sim-host.ts";
import type { SimProxy } from "./sim-proxy.ts";
import type { SimRequest } from "./sim-request.ts";
import type { SimTime } from "./sim-time.ts";

export interface RequestDeps {
  readonly time: SimTime;
  readonly broken: BreakName | null;
  readonly random: () => number;
  readonly hostOf: (endpoint: Endpoint) => SimHost;
  readonly newFlight: () => FlightId;
  /** Of the new release's VMs. */
  readonly fate: Fate;
  /** Something of a machine, a gate, a proxy or a VM was broken in this run. */
  readonly isHarmed: () => boolean;
  /** It hears no voter, and some host was broken or cut off: whose gate could tell it what is in force nobody knows. */
  readonly isLost: (proxy: SimProxy) => boolean;
  /** Of a proxy that is behind what a client shows: it asks gates and voters for what there is. */
  readonly catchUp: (proxy: SimProxy) => void;
  /** The gate of its host, or nobody, stands between it and its VM now. */
  readonly onDispatch: (endpoint: Endpoint, epoch: number) => void;
  /** The app has nothing (any more) that will serve: whoever asks is told so. */
  readonly isGone: () => boolean;
  /** A held request was older than it may get. */
  readonly onExpired: (proxy: SimProxy) => void;
  readonly onEnd: (request: SimRequest) => void;
}
