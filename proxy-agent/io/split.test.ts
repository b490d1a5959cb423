// Requests by weight, through a real proxy: what each VM got is counted at the VM.

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Weights } from "../../mesh/index.ts";
import { ask } from "../testing/client.ts";
import { answering, desiredVm, freePort, TestCluster, type Upstream } from "../testing/cluster.ts";

let cluster: TestCluster;
beforeEach(() => {
  cluster = new TestCluster();
});
afterEach(async () => {
  await cluster.close();
});

const VMS = ["hello-v1-1", "hello-v1-2", "hello-v2-1"];
const TEN: Weights = [
  { release: 1, weight: 90 },
  { release: 2, weight: 10 },
];

/** `count` requests, eight at a time. */
async function load(port: number, count: number): Promise<ReadonlyMap<string, number>> {
  const texts = new Map<string, number>();
  let left = count;
  const one = async () => {
    while (left > 0) {
      left -= 1;
      const { status, body: text } = await ask({ port });
      texts.set(
        status === 200 ? text : String(status),
        (texts.get(status === 200 ? text : String(status)) ?? 0) + 1,
      );
    }
  };
  await Promise.all(Array.from({ length: 8 }, one));
  return texts;
}

async function upstreams(): Promise<readonly [Upstream, Upstream, Upstream]> {
  const start = (text: string) => cluster.upstream(answering(text));
  return [await start("v1"), await start("v1"), await start("v2")];
}

describe("a split of an app's requests", () => {
  test("is exact on the proxy, goes on through other tables, and is over with the ack of the next", async () => {
    const [first, second, third] = await upstreams();
    const { port } = await cluster.serve({ [VMS[0] as string]: first.port, [VMS[1] as string]: second.port });
    cluster.writeVm("hello-v2-1", third.port);
    const vms = VMS.map((vm) => desiredVm(vm));
    const split = cluster.commit({ vms, weights: TEN });
    await cluster.waitForAck(({ verified }) => verified === split);
    expect(Math.abs(((await load(port, 500)).get("v2") ?? 0) - 50)).toBeLessThanOrEqual(1);
    const again = cluster.commit({ vms, weights: TEN.toReversed() });
    await cluster.waitForAck(({ verified }) => verified === again);
    await load(port, 500);
    expect(Math.abs(third.seen - 100)).toBeLessThanOrEqual(1);

    const back = cluster.commit({ vms: [...vms.slice(0, 2), desiredVm("hello-v2-1", "standby")] });
    await cluster.waitForAck(({ applied }) => applied === back);
    const { seen } = third;
    expect(await load(port, 200)).toEqual(new Map([["v1", 200]]));
    expect(third.seen).toBe(seen);
  });

  test("fails no request while a release with a share cannot be reached, or is not well", async () => {
    const [first, second, third] = await upstreams();
    const { port } = await cluster.serve({ [VMS[0] as string]: first.port, [VMS[1] as string]: second.port });
    cluster.writeVm("hello-v2-1", third.port, { health: "unhealthy" });
    const vms = VMS.map((vm) => desiredVm(vm));
    const sick = cluster.commit({ vms, weights: TEN });
    await cluster.waitForAck(({ applied }) => applied === sick);
    expect(await load(port, 300)).toEqual(new Map([["v1", 300]]));
    const version = cluster.writeVm("hello-v2-1", third.port);
    const well = cluster.commit({
      vms: [...vms.slice(0, 2), desiredVm("hello-v2-1", "serving", version)],
      weights: TEN,
    });
    await cluster.waitForAck(({ verified }) => verified === well);
    expect(Math.abs(((await load(port, 500)).get("v2") ?? 0) - 50)).toBeLessThanOrEqual(1);
    const moved = cluster.writeVm("hello-v2-1", await freePort());
    const lost = cluster.commit({
      vms: [...vms.slice(0, 2), desiredVm("hello-v2-1", "serving", moved)],
      weights: TEN,
    });
    await cluster.waitForAck(({ applied }) => applied === lost);
    expect(await load(port, 300)).toEqual(new Map([["v1", 300]]));
  });

  test("sends nothing to a release of weight 0, and dials it all the same", async () => {
    const [first, second, third] = await upstreams();
    const { port } = await cluster.serve({ [VMS[0] as string]: first.port, [VMS[1] as string]: second.port });
    const requires = cluster.writeVm("hello-v2-1", third.port);
    const weights: Weights = [
      { release: 1, weight: 100 },
      { release: 2, weight: 0 },
    ];
    const vms = [...VMS.slice(0, 2).map((vm) => desiredVm(vm)), desiredVm("hello-v2-1", "serving", requires)];
    const epoch = cluster.commit({ vms, weights });
    await cluster.waitForAck(({ verified }) => verified === epoch);
    expect(await load(port, 200)).toEqual(new Map([["v1", 200]]));
    expect(third.seen).toBe(0);
  });
});
