// Sound: whether some VM could have served a request that failed: then nothing excuses that.

import { weightOf } from "../../mesh/index.ts";
import type { Endpoint } from "../../proxy-agent/core/route-table.ts";
import { RETRY_PAUSE_LAST_MS } from "../../proxy-agent/limits.ts";
import type { RequestDeps } from "./request-deps.ts";
import type { SimClient } from "./sim-client.ts";
import { SIM_APP } from "./sim-driver.ts";
import type { SimProxy } from "./sim-proxy.ts";

export function soundEndpoint(
  { table }: SimProxy,
  client: SimClient,
  deps: Pick<RequestDeps, "time" | "hostOf">,
): Endpoint | undefined {
  const route = table.apps.get(SIM_APP);
  // A client waits for the release that it saw rather than see an older one.
  return route?.endpoints.find(
    // A release of weight 0 gets nothing, whatever becomes of the others.
    (endpoint) =>
      (route.weights === null || weightOf(route.weights, endpoint.release) > 0) &&
      client.mayGoTo(route, endpoint.release) &&
      isSound(endpoint, deps),
  );
}

/** Since longer than a request pauses between two tries. */
function isSound(endpoint: Endpoint, { time, hostOf }: Pick<RequestDeps, "time" | "hostOf">): boolean {
  const host = hostOf(endpoint);
  const vm = host.vms.get(endpoint.vm);
  const isGateSound = !endpoint.isGated || host.gate.isOpenFor(endpoint.vm);
  const isRunning = vm?.entry.state === "running" && !vm.isHung;
  const isSettled = time.nowMs - host.backAtMs > RETRY_PAUSE_LAST_MS;
  return host.isUp && isGateSound && isRunning && isSettled;
}
