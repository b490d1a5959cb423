// Parted lab: three hosts, of which the third can be parted from the others together with its own proxy and clients.

import { LabCluster } from "./lab-cluster.ts";
import { until } from "./observe.ts";

export function startPartedLab(): Promise<LabCluster> {
  return LabCluster.start([
    { name: "host-1", proxy: "proxy-1" },
    { name: "host-2" },
    { name: "host-3", proxy: "proxy-3" },
  ]);
}

/** Resolves once the others hear host-3 and its proxy, or do not. */
export function untilConnected(cluster: LabCluster, expected: boolean): Promise<true> {
  return until(`the host and its proxy ${expected ? "back" : "away"}`, async () => {
    const rows = await cluster.get<{ name: string; connected: boolean }[]>("/v1/members", "host-1");
    const meant = rows.filter(({ name }) => name === "host-3" || name === "proxy-3");
    return meant.every(({ connected }) => connected === expected) ? true : null;
  });
}
