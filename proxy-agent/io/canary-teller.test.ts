// What a proxy tells the voters while a canary bakes: of real requests to real VMs.

import { request as httpRequest } from "node:http";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  CANARY_TOPIC,
  type CanaryMessage,
  canaryMessageShape,
  decodeRecord,
  type ReleaseCounts,
} from "../../mesh/index.ts";
import { ask } from "../testing/client.ts";
import { answering, desiredVm, TestCluster } from "../testing/cluster.ts";

const VMS = [desiredVm("hello-v1-1"), desiredVm("hello-v2-1")];
const HALVES = [
  { release: 1, weight: 50 },
  { release: 2, weight: 50 },
] as const;

let cluster: TestCluster;
const told: CanaryMessage[] = [];
const listeners = new Set<() => void>();
beforeEach(() => {
  cluster = new TestCluster();
  told.length = 0;
  cluster.host.onTell(CANARY_TOPIC, (bytes) => {
    const message = decodeRecord(canaryMessageShape, bytes);
    if (!message.ok) throw new Error(message.error);
    told.push(message.value);
    for (const listener of [...listeners]) listener();
  });
});
afterEach(async () => {
  await cluster.close();
});

/** The first message from now on, the latest included, of which `isWanted` is true. */
async function untilTold(isWanted: (message: CanaryMessage) => boolean): Promise<CanaryMessage> {
  for (;;) {
    const last = told.at(-1);
    if (last !== undefined && isWanted(last)) return last;
    const { promise, resolve } = Promise.withResolvers<void>();
    listeners.add(resolve);
    await promise;
    listeners.delete(resolve);
  }
}

function ofRelease({ counts }: CanaryMessage, release: number): ReleaseCounts | undefined {
  return counts[0]?.releases.find((counted) => counted.release === release);
}

function waitsOf(message: CanaryMessage): number {
  const releases = message.counts[0]?.releases ?? [];
  return releases.flatMap(({ waits }) => waits).reduce((left, right) => left + right, 0);
}

test("by release what was asked and what failed, from the step on", async () => {
  const good = await cluster.upstream(answering("v1"));
  const bad = await cluster.upstream((_request, response) => response.writeHead(500).end("no"));
  const { port } = await cluster.serve({ "hello-v1-1": good.port, "hello-v2-1": bad.port });
  for (let asked = 0; asked < 4; asked += 1) await ask({ port });
  const epoch = cluster.commit({ vms: VMS, weights: HALVES, bakes: 4 });
  await cluster.waitForAck(({ applied }) => applied === epoch);
  // That it counts is told before there is anything to count.
  const [first] = (await untilTold(() => true)).counts;
  expect(first).toMatchObject({ app: "hello", rollout: "hello-v2", step: 4, releases: [] });
  for (let asked = 0; asked < 20; asked += 1) await ask({ port });
  const message = await untilTold((heard) => waitsOf(heard) === 20);
  expect(ofRelease(message, 1)).toMatchObject({ requests: 10, errors: 0 });
  expect(ofRelease(message, 2)).toMatchObject({ requests: 10, errors: 10 });
}, 20_000);

test("a VM that gives no answer as an error, and a client that left as its wait alone", async () => {
  const good = await cluster.upstream(answering("v1"));
  const { promise: isAsked, resolve: asked } = Promise.withResolvers<void>();
  const mute = await cluster.upstream((request, response) => {
    if (request.method === "POST") response.destroy();
    else asked();
  });
  const { port } = await cluster.serve({ "hello-v1-1": good.port, "hello-v2-1": mute.port });
  const weights = [
    { release: 1, weight: 0 },
    { release: 2, weight: 100 },
  ];
  const epoch = cluster.commit({ vms: VMS, weights, bakes: 4 });
  await cluster.waitForAck(({ applied }) => applied === epoch);
  expect((await ask({ port, method: "POST", body: "x" })).status).toBe(502);
  const leaving = httpRequest({ port, headers: { host: "hello.localhost" } });
  leaving.on("error", () => undefined);
  leaving.end();
  await isAsked;
  leaving.destroy();
  const message = await untilTold((heard) => waitsOf(heard) === 2);
  expect(ofRelease(message, 2)).toMatchObject({ requests: 1, errors: 1 });
  expect(ofRelease(message, 1)).toBeUndefined();
}, 20_000);
