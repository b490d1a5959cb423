import { once } from "node:events";
import net from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { decodeRecord, encodeRecord, type Mesh } from "../../mesh/index.ts";
import { ask } from "../testing/client.ts";
import { desiredVm, freePort, TestCluster } from "../testing/cluster.ts";
import { ListenError } from "./listen-error.ts";

let cluster: TestCluster;
beforeEach(() => {
  cluster = new TestCluster();
});
afterEach(async () => {
  await cluster.close();
});

function dial(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}

describe("a new proxy", () => {
  test("is registered at the voter before the register is read, and serves by what it read", async () => {
    const vm = await cluster.upstream((_request, response) => response.end("v2"));
    cluster.writeVm("hello-v2-1", vm.port);
    // The gossip of this commit never came: only the register has it.
    cluster.commit({ vms: [desiredVm("hello-v1-1")] });
    cluster.commitUntold({ vms: [desiredVm("hello-v2-1")] });
    const { port } = await cluster.proxy();
    expect(cluster.registeredAtRead).toEqual(["proxy/proxy-1"]);
    expect(await ask({ port })).toMatchObject({ status: 200, body: "v2" });
  });

  test("opens its listener only when a voter can be reached", async () => {
    const port = await freePort();
    const vm = await cluster.upstream((_request, response) => response.end("one"));
    cluster.writeVm("hello-v1-1", vm.port);
    cluster.commit({ vms: [desiredVm("hello-v1-1")] });
    // Its only way to the cluster is cut in the breath in which it joins.
    let joined: Mesh | undefined;
    const join = cluster.hub.join.bind(cluster.hub);
    cluster.hub.join = (options) => {
      joined = join(options);
      cluster.hub.disconnect(cluster.host, joined);
      return joined;
    };
    const starting = cluster.proxy({ http: { host: "127.0.0.1", port } });
    for (let count = 0; count < 20; count += 1) expect(await dial(port)).toBe(false);
    expect(cluster.registerReads).toEqual([]);
    if (joined !== undefined) cluster.hub.reconnect(cluster.host, joined);
    await starting;
    expect(await ask({ port })).toMatchObject({ status: 200, body: "one" });
  });

  test("that is stopped while it waits for a voter leaves nothing behind", async () => {
    const join = cluster.hub.join.bind(cluster.hub);
    cluster.hub.join = (options) => {
      const mesh = join(options);
      cluster.hub.disconnect(cluster.host, mesh);
      return mesh;
    };
    const stop = new AbortController();
    const starting = cluster.proxy({}, stop);
    stop.abort();
    await expect(starting).rejects.toBe(stop.signal.reason);
  });

  test("says at once that its port is taken, and was never registered", async () => {
    const taken = net.createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as net.AddressInfo;
    const error = await cluster
      .proxy({ http: { host: "127.0.0.1", port } })
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ListenError);
    expect(String(error)).toContain(`cannot listen on 127.0.0.1:${port}: the port is taken`);
    expect(cluster.host.store.list("proxy/")).toEqual([]);
    taken.close();
  });

  test("serves all else when the host of one VM is unknown to everybody", async () => {
    cluster.commit({ vms: [{ ...desiredVm("hello-v1-1"), host: "host-9" as never }] });
    const vm = await cluster.upstream((_request, response) => response.end("other"));
    cluster.writeVm("other-v1-1", vm.port);
    cluster.commit({ app: "other", vms: [desiredVm("other-v1-1")] });
    const { port } = await cluster.proxy();
    expect(await ask({ port, host: "other.localhost" })).toMatchObject({ body: "other" });
  });
});

describe("a proxy that stops", () => {
  test("finishes what runs, then leaves the cluster, then is gone", async () => {
    const { promise: came, resolve: come } = Promise.withResolvers<() => void>();
    const vm = await cluster.upstream((_request, response) => come(() => response.end("finished")));
    const { port, stop } = await cluster.proxy();
    cluster.writeVm("hello-v1-1", vm.port);
    cluster.commit({ vms: [desiredVm("hello-v1-1")] });
    await cluster.waitForAck((ack) => ack.applied === 1);
    const answer = ask({ port });
    const finish = await came;
    const stopping = stop();
    expect(await dial(port)).toBe(false);
    expect(cluster.host.store.list("proxy/")).toHaveLength(1);
    finish();
    const { status, body, headers } = await answer;
    expect({ status, body, connection: headers.connection }).toEqual({
      status: 200,
      body: "finished",
      connection: "close",
    });
    await stopping;
    expect(cluster.host.store.list("proxy/")).toEqual([]);
  });

  test("keeps its routes while it sees nobody of the cluster", async () => {
    const vm = await cluster.upstream((_request, response) => response.end("still"));
    const { port, mesh } = await cluster.proxy();
    cluster.writeVm("hello-v1-1", vm.port);
    cluster.commit({ vms: [desiredVm("hello-v1-1")] });
    await cluster.waitForAck((ack) => ack.applied === 1);
    cluster.hub.disconnect(cluster.host, mesh);
    expect(await ask({ port })).toMatchObject({ status: 200, body: "still" });
  });
});

describe("a write that waits", () => {
  test("is acknowledged only when the table in force was built from it", async () => {
    const { mesh } = await cluster.proxy();
    const { host } = cluster;
    const head = host.store.head(host.self.owner)!;
    const upTo = { ...head, counter: head.counter + 2 };
    const answered = Promise.withResolvers<unknown>();
    host.onTell("applied", (bytes) => {
      const message = decodeRecord(z.object({ head: z.object({ counter: z.number() }) }), bytes);
      if (message.ok && message.value.head.counter >= upTo.counter) answered.resolve(readRoutes(host, mesh));
    });
    // Asked for before it is written: so nothing has built the table when the answer falls due.
    host.tell(mesh.self.owner, "applied-ask", encodeRecord({ format: 1, head: upTo }));
    await turn();
    cluster.writeVm("hello-v1-1", 20_001);
    const epoch = cluster.commit({ vms: [desiredVm("hello-v1-1")] });
    expect(await answered.promise).toMatchObject({ routes: [{ app: "hello", epoch }] });
  });
});

async function readRoutes(from: Mesh, proxy: Mesh): Promise<unknown> {
  const chunks: Uint8Array[] = [];
  const signal = AbortSignal.timeout(5_000);
  for await (const chunk of from.call(proxy.self.owner, "routes", new Uint8Array(), signal))
    chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString());
}

describe("the admin API", () => {
  test("shows status, routes, entries and metrics, and the same routes over the mesh", async () => {
    const vm = await cluster.upstream((_request, response) => response.end("one"));
    const { port, admin, mesh } = await cluster.proxy();
    const epoch = cluster.commit({ vms: [desiredVm("hello-v1-1")] });
    cluster.writeVm("hello-v1-1", vm.port);
    await cluster.waitForAck((ack) => ack.verified === epoch);
    await ask({ port });
    await ask({ port, host: "nobody" });
    const read = async (path: string) =>
      (await fetch(admin + path)).json() as Promise<Record<string, unknown>>;
    expect(await read("/v1/status")).toMatchObject({
      proxy: "proxy-1",
      serving: true,
      stale: false,
      apps: [{ app: "hello", epoch, ack: { applied: epoch, verified: epoch } }],
    });
    const routes = await read("/v1/routes");
    const address = `127.0.0.1:${vm.port}`;
    const endpoint = { vm: "hello-v1-1", release: 1, host: "host-1", address, healthy: true, inFlight: 0 };
    expect(routes).toMatchObject({
      proxy: "proxy-1",
      draining: [],
      routes: [{ hostname: "hello.localhost", app: "hello", epoch, endpoints: [endpoint] }],
    });
    expect(await readRoutes(cluster.host, mesh)).toEqual(routes);
    const entries = (await read("/v1/entries")) as unknown as { key: string }[];
    expect(entries.map(({ key }) => key)).toEqual(
      expect.arrayContaining(["app/hello", "vm/hello-v1-1", "proxy/proxy-1"]),
    );
    const metrics = await (await fetch(`${admin}/metrics`)).text();
    expect(metrics).toContain('grapevine_proxy_requests_total{app="hello",release="v1",class="2xx"} 1');
    expect(metrics).toContain('grapevine_proxy_requests_total{app="",release="",class="4xx"} 1');
    expect((await fetch(`${admin}/nothing`)).status).toBe(404);
  });
});
