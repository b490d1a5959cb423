// Holding: an app of one VM whose requests a proxy keeps, for tests of what becomes of them.

import { desiredVm, type RecordOptions, type TestCluster, type TestProxy } from "./cluster.ts";

export const V1 = "hello-v1-1";
export const SERVING: RecordOptions = { vms: [desiredVm(V1)] };
export const HELD: RecordOptions = { ...SERVING, heldBy: "person" };
/** The only VM leaves by a hold. */
export const CLOSED: RecordOptions = { vms: [desiredVm(V1, "cordoned")], heldBy: "rollout" };

/** Resolves once the proxy has it in force. */
export async function applied(cluster: TestCluster, options: RecordOptions): Promise<void> {
  const epoch = cluster.commit(options);
  await cluster.waitForAck((ack) => ack.applied === epoch);
}

/** Of the proxy's own count, once it is so: metrics change in the breath in which a request does. */
export async function metric(
  proxy: TestProxy,
  name: string,
  isDone: (value: number) => boolean,
): Promise<void> {
  for (;;) {
    const text = await (await fetch(`${proxy.admin}/metrics`)).text();
    const line = text.split("\n").find((candidate) => candidate.startsWith(`${name} `));
    if (isDone(Number(line?.split(" ")[1]))) return;
  }
}

/** Requests that the proxy keeps. */
export function waiting(proxy: TestProxy, count: number): Promise<void> {
  return metric(proxy, "grapevine_proxy_held_requests", (value) => value === count);
}
