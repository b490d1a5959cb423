import { afterEach, beforeEach, expect, test } from "vitest";
import { decodeRecord, type Mesh, proxyEntryShape, REGISTER_READ_SERVICE } from "../../mesh/index.ts";
import { ask } from "../testing/client.ts";
import { desiredVm, TestCluster, type TestProxy } from "../testing/cluster.ts";

let cluster: TestCluster;
beforeEach(() => {
  cluster = new TestCluster();
});
afterEach(async () => {
  await cluster.close();
});

/** The mesh of a proxy that holds what the host wrote so far, and has lost the host. */
function restoredMesh(): Mesh {
  const mesh = cluster.hub.join({ name: "proxy-1", role: "proxy" });
  cluster.hub.disconnect(cluster.host, mesh);
  return mesh;
}

/** "hello" is served by a VM that answers "old". */
async function commitOld(): Promise<void> {
  const old = await cluster.upstream((_request, response) => response.end("old"));
  cluster.writeVm("hello-v1-1", old.port);
  cluster.commit({ vms: [desiredVm("hello-v1-1")] });
}

/** The port under which the proxy on this mesh registers: a warm one listens there by then. */
async function registration(mesh: Mesh): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const unsubscribe = mesh.onChange(({ key, value }) => {
    if (key !== "proxy/proxy-1" || value === null) return;
    const entry = decodeRecord(proxyEntryShape, value);
    if (entry.ok) resolve(Number(new URL(entry.value.http).port));
  });
  return promise.finally(unsubscribe);
}

async function read(proxy: TestProxy, path: string): Promise<string> {
  return (await fetch(proxy.admin + path)).text();
}

async function isStale(proxy: TestProxy): Promise<boolean> {
  return JSON.parse(await read(proxy, "/v1/status")).stale;
}

test("a proxy that crashed serves its last state before it meets anybody, says so, and then the current one", async () => {
  await commitOld();
  cluster.mark.wasSet = true;
  const proxy = await cluster.proxyOn(restoredMesh());
  const now = await cluster.upstream((_request, response) => response.end("new"));
  cluster.writeVm("hello-v2-1", now.port);
  const epoch = cluster.commit({ vms: [desiredVm("hello-v2-1")] });
  expect(await ask({ port: proxy.port })).toMatchObject({
    status: 200,
    body: "old",
    headers: { "grapevine-stale": "1", "grapevine-vm": "hello-v1-1" },
  });
  const unknown = await ask({ port: proxy.port, host: "unknown.localhost" });
  expect(unknown).toMatchObject({ status: 404, headers: { "grapevine-stale": "1" } });
  expect(await isStale(proxy)).toBe(true);
  expect(await read(proxy, "/metrics")).toContain("grapevine_proxy_stale 1");
  expect(cluster.messages).toEqual([]);
  cluster.hub.reconnect(cluster.host, proxy.mesh);
  await cluster.waitForAck((ack) => ack.verified === epoch);
  const answer = await ask({ port: proxy.port });
  expect(answer).toMatchObject({ status: 200, body: "new" });
  expect(answer.headers).not.toHaveProperty("grapevine-stale");
  expect(await isStale(proxy)).toBe(false);
  expect(await read(proxy, "/metrics")).toContain("grapevine_proxy_stale 0");
});

test("it acknowledges nothing to a voter that has not admitted it", async () => {
  await commitOld();
  cluster.mark.wasSet = true;
  const asked = Promise.withResolvers<void>();
  const answered = Promise.withResolvers<void>();
  cluster.host.handle(REGISTER_READ_SERVICE, async function* (request, from) {
    asked.resolve();
    await answered.promise;
    yield* cluster.answerRead(cluster.host, request, from);
  });
  const proxy = await cluster.proxyOn(cluster.hub.join({ name: "proxy-1", role: "proxy" }));
  await asked.promise;
  const later = await cluster.upstream((_request, response) => response.end("later"));
  cluster.writeVm("hello-v2-1", later.port);
  const epoch = cluster.commit({ vms: [desiredVm("hello-v2-1")] });
  await expect.poll(async () => (await ask({ port: proxy.port })).body).toBe("later");
  expect(cluster.messages).toEqual([]);
  answered.resolve();
  expect(await cluster.waitForAck((ack) => ack.verified === epoch)).toMatchObject({ applied: epoch });
});

test("without response headers its answers do not say that they are stale", async () => {
  await commitOld();
  cluster.mark.wasSet = true;
  const proxy = await cluster.proxyOn(restoredMesh(), { responseHeaders: false });
  expect((await ask({ port: proxy.port })).headers).not.toHaveProperty("grapevine-stale");
});

test("one that is stopped before anybody admitted it leaves nothing running", async () => {
  await commitOld();
  cluster.mark.wasSet = true;
  const proxy = await cluster.proxyOn(restoredMesh());
  await proxy.stop();
  expect(cluster.mark.wasSet).toBe(false);
  await expect(ask({ port: proxy.port })).rejects.toThrow("ECONNREFUSED");
});

test("the mark is there once it was admitted, and gone before it leaves: it starts closed then", async () => {
  await commitOld();
  expect(cluster.mark.wasSet).toBe(false);
  const first = await cluster.proxy();
  expect(cluster.mark.wasSet).toBe(true);
  await first.stop();
  expect(cluster.mark.wasSet).toBe(false);
  const mesh = restoredMesh();
  const registered = registration(mesh);
  const second = cluster.proxyOn(mesh);
  await expect(ask({ port: await registered })).rejects.toThrow("ECONNREFUSED");
  cluster.hub.reconnect(cluster.host, mesh);
  expect((await ask({ port: (await second).port })).headers).not.toHaveProperty("grapevine-stale");
});

test("a mark without a state that routes is no warm start", async () => {
  cluster.mark.wasSet = true;
  const mesh = restoredMesh();
  const registered = registration(mesh);
  const starting = cluster.proxyOn(mesh);
  await expect(ask({ port: await registered })).rejects.toThrow("ECONNREFUSED");
  cluster.hub.reconnect(cluster.host, mesh);
  await starting;
});
