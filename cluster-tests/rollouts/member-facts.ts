// Member facts: what drivers are told of hosts and proxies, and what proxies are told of hosts.

import { encodeRecord, type HostEntry, isExclusive } from "../../mesh/index.ts";
import type { HostFact, ProxyFact } from "../../node/deploy/core/facts.ts";
import type { BreakName } from "./breaks.ts";
import type { SimCluster } from "./sim-cluster.ts";
import type { SimHost } from "./sim-host.ts";
import type { Heard } from "./sim-proxy.ts";

type Members = Pick<
  SimCluster,
  "hosts" | "dead" | "draining" | "proxies" | "away" | "joining" | "alone" | "scenario" | "broken"
>;

export function hostFactsOf({ hosts, dead, draining, alone, scenario }: Members): readonly HostFact[] {
  return [...hosts.keys()].map((host): HostFact => {
    const deadSinceMs = dead.get(host);
    const isOpen = deadSinceMs === undefined;
    const drained = draining.has(host) ? { cordoned: true, draining: true } : {};
    const standing = alone.get(host);
    const confirms = isExclusive(scenario) ? { alone: standing === undefined ? [] : [standing] } : {};
    return {
      ...confirms,
      host,
      open: isOpen,
      vms: 0,
      hasGate: true,
      ...drained,
      ...(isOpen ? {} : { deadSinceMs }),
    };
  });
}

export function proxyFactsOf(
  { proxies, away, joining }: Members,
  broken: BreakName | null,
): readonly ProxyFact[] {
  const known = [...proxies.values()].map(({ name, registered }): ProxyFact => {
    const isDropped = broken === "frozen-ack-set" && away.has(name);
    return { proxy: name, registered: registered && !isDropped, connected: !away.has(name) };
  });
  const coming = joining?.told.kind === "proxies" ? joining.told.proxies : [];
  return [...known, ...coming.filter(({ proxy }) => !proxies.has(proxy))];
}

export function entryOfHost({ name, key, index }: SimHost): Heard {
  const gate = { host: `10.0.0.${index}`, port: 7_901 };
  const entry: HostEntry = {
    format: 1,
    host: name,
    region: "",
    labels: {},
    api: "",
    pid: 1,
    voter: index < 3,
    gate,
  };
  return {
    owner: name,
    entry: { key, value: encodeRecord(entry), version: { incarnation: 1, startId: 1, counter: 0 } },
  };
}
