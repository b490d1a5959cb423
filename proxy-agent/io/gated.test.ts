// Requests through a real gate: a proxy that is behind it, ahead of it, cut off from it, and bodies that must not run twice.

import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { hostKey, memberName } from "../../mesh/index.ts";
import { StandInVoter } from "../../mesh/sim/stand-in-voter.ts";
import { REPLAY_BYTES_MAX } from "../limits.ts";
import { PROXY_TIMING, type ProxyOptions } from "../proxy.ts";
import { type Answer, ask, sendRaw } from "../testing/client.ts";
import {
  answering,
  appRecord,
  desiredVm,
  freePort,
  TestCluster,
  type TestProxy,
} from "../testing/cluster.ts";
import { TestGate } from "../testing/gate.ts";
import { hostProof } from "../testing/host-proof.ts";

const HOST_2 = memberName("host-2");
const V1 = "hello-v1-1";
const V2 = "hello-v2-1";

let cluster: TestCluster;
let gate: TestGate;
beforeEach(() => {
  cluster = new TestCluster();
  gate = new TestGate(cluster);
});
afterEach(async () => {
  await gate.close();
  await cluster.close();
});

/** A proxy that serves "hello" through the gate by one VM; both go by the same record. */
async function serve(port: number, options: Partial<ProxyOptions> = {}): Promise<TestProxy> {
  gate.announce(await gate.start());
  gate.place({ [V1]: port });
  const proxy = await cluster.proxy(options);
  cluster.writeVm(V1, port);
  const epoch = gate.commit({ vms: [desiredVm(V1)] });
  gate.open();
  await cluster.waitForAck(({ verified }) => verified === epoch);
  return proxy;
}

/** Its own clock is of no use here: only a gate that is waited for can be back in time. */
const IMPATIENT = { timing: { ...PROXY_TIMING, retryTimeMs: 0 } };

async function routesOf({ admin }: TestProxy): Promise<{ routes: { epoch: number }[] }> {
  return (await fetch(`${admin}/v1/routes`)).json() as Promise<{ routes: { epoch: number }[] }>;
}

async function metricOf({ admin }: TestProxy, name: string): Promise<number> {
  const text = await (await fetch(`${admin}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1]);
}

/** So many tries failed and are to be made again. */
async function untilRetried(proxy: TestProxy, count: number): Promise<void> {
  while ((await metricOf(proxy, "grapevine_proxy_retries_total")) < count) await delay(5);
}

describe("a proxy", () => {
  test("reaches the VMs of a host with a gate through that, and says so by having verified them", async () => {
    const vm = await cluster.upstream(answering("one"));
    const { port } = await serve(vm.port);
    expect(await ask({ port })).toMatchObject({ status: 200, body: "one", headers: { "grapevine-vm": V1 } });
    expect(gate.describe()).toContain(`${V1} (0)`);
    // Of the address that the host publishes it makes no use: other machines do not reach it.
    cluster.writeVm(V1, await freePort());
    expect((await ask({ port })).body).toBe("one");
  });

  test("dials the VMs of an app itself whose owner wants no gate", async () => {
    const vm = await cluster.upstream(answering("direct"));
    await gate.start();
    gate.announce(await freePort());
    const proxy = await cluster.proxy();
    cluster.writeVm(V1, vm.port);
    const epoch = cluster.commit({ vms: [desiredVm(V1)], gate: "off" });
    await cluster.waitForAck(({ verified }) => verified === epoch);
    expect((await ask({ port: proxy.port })).body).toBe("direct");
  });

  test("does not say that it verified a VM that its gate cannot reach, and says why", async () => {
    const gatePort = await gate.start();
    gate.announce(gatePort);
    gate.place({ [V1]: await freePort() });
    await cluster.proxy();
    gate.commit({ vms: [desiredVm(V1)] });
    gate.open();
    const { nack } = await cluster.waitForAck((ack) => ack.nack !== null);
    expect(nack?.reason).toContain("its gate cannot reach it: connect ECONNREFUSED");
  });

  test("that hears nothing of the mesh learns the newer record by its first refused request, and fails none", async () => {
    const old = await cluster.upstream(answering("old"));
    const proxy = await serve(old.port);
    const fresh = await cluster.upstream(answering("new"));
    gate.place({ [V1]: old.port, [V2]: fresh.port });
    // The mesh tells this proxy nothing of it: neither the record nor where the new VM is.
    const moved = { vms: [desiredVm(V1, "cordoned"), desiredVm(V2)] };
    const epoch = cluster.commitUntold(moved);
    gate.tellRecord(epoch, moved);
    await gate.waitForStanding((standing) => standing.epoch === epoch);
    expect(await ask({ port: proxy.port, method: "POST", body: "x" })).toMatchObject({
      status: 200,
      body: "new",
    });
    expect((await routesOf(proxy)).routes[0]?.epoch).toBe(epoch);
    expect(await metricOf(proxy, "grapevine_proxy_records_of_gates_total")).toBe(1);
    expect(old.seen).toBe(0);
  });

  describe("that hears nothing of the mesh, and whose next VM is on a host that it never heard of", () => {
    /** The record moves to a VM of host-2, whose gate is another one; returns what is asked through the proxy. */
    async function moveToUnknown(proofs: readonly Uint8Array[]): Promise<Answer> {
      const old = await cluster.upstream(answering("old"));
      const proxy = await serve(old.port, { timing: { ...PROXY_TIMING, retryTimeMs: 500 } });
      const there = { vms: [desiredVm(V1, "cordoned"), { ...desiredVm(V2), host: HOST_2 }] };
      const epoch = cluster.commitUntold(there);
      gate.proofs = proofs;
      gate.tellRecord(epoch, there);
      farGate.tellRecord(epoch, there);
      await gate.waitForStanding((standing) => standing.epoch === epoch);
      await farGate.waitForStanding((standing) => standing.epoch === epoch);
      const answer = await ask({ port: proxy.port, method: "POST", body: "x" });
      expect(old.seen).toBe(0);
      return answer;
    }

    let farGate: TestGate;
    beforeEach(async () => {
      farGate = new TestGate(cluster, { host: HOST_2 });
      await farGate.start();
      farGate.open();
      farGate.place({ [V2]: (await cluster.upstream(answering("far"))).port });
    });
    afterEach(() => farGate.close());

    test("takes from the gate what that host signed, and fails no request", async () => {
      expect(await moveToUnknown([hostProof(V2, farGate.port)])).toMatchObject({ status: 200, body: "far" });
    });

    test("takes nothing that its host did not sign, or that one says of another's VM", async () => {
      const others = [
        hostProof(V2, farGate.port, { signer: "host-3" }),
        hostProof(V2, farGate.port, { name: "host-3" }),
      ];
      expect(await moveToUnknown(others)).toMatchObject({ status: 503 });
    });

    test("takes nothing of a host whose gate is left out of what is told: its VMs have no other way", async () => {
      const hides = [hostKey(HOST_2)];
      expect(await moveToUnknown([hostProof(V2, farGate.port, { hides })])).toMatchObject({ status: 503 });
    });

    test("takes nothing of who calls itself as another one that the mesh knows", async () => {
      cluster.hostNamed("host-2");
      expect(await moveToUnknown([hostProof(V2, farGate.port)])).toMatchObject({ status: 503 });
    });
  });

  test("learns it by a HEAD too, whose answer carries nothing", async () => {
    const vm = await cluster.upstream(answering("one"));
    const proxy = await serve(vm.port);
    const again = { vms: [desiredVm(V1)] };
    const epoch = cluster.commitUntold(again);
    gate.tellRecord(epoch, again);
    await gate.waitForStanding((standing) => standing.epoch === epoch);
    expect(await ask({ port: proxy.port, method: "HEAD" })).toMatchObject({ status: 200, body: "" });
    expect((await routesOf(proxy)).routes[0]?.epoch).toBe(epoch);
  });

  test("passes on a head as large as a client may send", async () => {
    const vm = await cluster.upstream((request, response) =>
      response.end(String(request.headers["x-large"]?.length)),
    );
    const { port } = await serve(vm.port);
    const large = "x".repeat(15_000);
    expect(await ask({ port, headers: { "x-large": large } })).toMatchObject({ status: 200, body: "15000" });
  });

  test("that is ahead of a gate hands in what the gate lacks, and fails no request", async () => {
    const vm = await cluster.upstream(answering("one"));
    const proxy = await serve(vm.port);
    const epoch = cluster.commit({ vms: [desiredVm(V1), desiredVm(V2)] });
    await cluster.waitForAck(({ applied }) => applied === epoch);
    const asked = Array.from({ length: 20 }, () => ask({ port: proxy.port, method: "POST", body: "x" }));
    const answers = await Promise.all(asked);
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200));
    expect(vm.seen).toBe(20);
    await gate.waitForStanding((standing) => standing.epoch === epoch);
  });

  test("that hears nothing of new voters learns of them at the gate, by what the record of theirs needs", async () => {
    const vm = await cluster.upstream(answering("one"));
    const proxy = await serve(vm.port);
    // Signed by the root key, and told to the gate alone; what they commit the proxy cannot check without.
    const later = new StandInVoter(cluster.host, { number: 2, meshes: [cluster.hostNamed("host-2")] });
    gate.tell({ format: 1, kind: "voter-link", link: later.listLink() });
    const record = appRecord({ vms: [desiredVm(V1)], hostnames: ["hello.localhost", "other.localhost"] });
    gate.tell({ format: 1, kind: "record", key: "app/hello", value: later.certified(9, record) });
    await gate.waitForStanding(({ epoch }) => epoch === 9);
    expect(await ask({ port: proxy.port, method: "POST", body: "x" })).toMatchObject({
      status: 200,
      body: "one",
    });
    expect((await routesOf(proxy)).routes.map(({ epoch }) => epoch)).toEqual([9, 9]);
  });

  test("hands in with a record the voters that the gate has not heard of", async () => {
    const vm = await cluster.upstream(answering("one"));
    const proxy = await serve(vm.port);
    const later = cluster.nameVoters(["host-1", "host-2"], 2);
    later.publish(9, appRecord({ vms: [desiredVm(V1)] }));
    await cluster.waitForAck(({ applied }) => applied === 9);
    expect(await ask({ port: proxy.port, method: "POST", body: "x" })).toMatchObject({
      status: 200,
      body: "one",
    });
    await gate.waitForStanding(({ epoch }) => epoch === 9);
  });

  test("waits for a gate that is started anew, and fails no request that had not begun", async () => {
    const vm = await cluster.upstream(answering("one"));
    const proxy = await serve(vm.port, IMPATIENT);
    const { port } = gate;
    await gate.stop();
    const asked = [ask({ port: proxy.port }), ask({ port: proxy.port, method: "POST", body: "x" })];
    await untilRetried(proxy, asked.length);
    await gate.start(port);
    for (const answer of await Promise.all(asked)) expect(answer).toMatchObject({ status: 200, body: "one" });
    expect(vm.seen).toBe(2);
  });

  test("sends what may run twice again, also when a gate that dies breaks it anew, and nothing else", async () => {
    const vm = await cluster.upstream(answering("one"));
    const proxy = await serve(vm.port);
    const { port } = gate;
    await gate.stop();
    let broken = 0;
    const allBroken = Promise.withResolvers<void>();
    const dying = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => {
        broken += 1;
        socket.destroy();
        if (broken === 4) allBroken.resolve();
      });
    });
    await once(dying.listen(port, "127.0.0.1"), "listening");
    expect((await ask({ port: proxy.port, method: "POST", body: "x" })).status).toBe(502);
    const asked = ask({ port: proxy.port });
    await allBroken.promise;
    dying.close();
    await once(dying, "close");
    await gate.start(port);
    expect(await asked).toMatchObject({ status: 200, body: "one" });
    expect(vm.seen).toBe(1);
  });

  test("waits for it no longer than its time, and says whom it waited for", async () => {
    const vm = await cluster.upstream(answering("one"));
    const timing = { ...IMPATIENT.timing, gateAwayMs: 50 };
    const { port } = await serve(vm.port, { timing });
    await gate.stop();
    const answer = await ask({ port });
    expect(answer).toMatchObject({ status: 502 });
    expect(answer.body).toContain("ECONNREFUSED");
    expect(vm.seen).toBe(0);
  });

  test("waits for it no longer when the table shows another way", async () => {
    const vm = await cluster.upstream(answering("one"));
    const proxy = await serve(vm.port, IMPATIENT);
    await gate.stop();
    const asked = ask({ port: proxy.port });
    await untilRetried(proxy, 1);
    cluster.commit({ vms: [desiredVm(V1)], gate: "off" });
    expect(await asked).toMatchObject({ status: 200, body: "one" });
  });

  test("takes nothing from a client that only gates are told, and nothing from an app that only gates say", async () => {
    const vm = await cluster.upstream((request, response) => {
      response.writeHead(421, { "grapevine-gate": "1 ahead" });
      response.end(String(request.headers["grapevine-gate"]));
    });
    const { port } = await serve(vm.port);
    const answer = await ask({ port, headers: { "grapevine-gate": `1 pass other other-v1-1 1` } });
    expect(answer).toMatchObject({ status: 421, body: "undefined" });
    expect(answer.headers).not.toHaveProperty("grapevine-gate");
    expect(vm.seen).toBe(1);
  });

  test("upgrades through the gate, by the newer record if its own is old", async () => {
    const vm = await cluster.upstream(() => undefined);
    vm.server.on("upgrade", (_request, socket) => {
      socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
      socket.pipe(socket);
    });
    const { port } = await serve(vm.port);
    const again = { vms: [desiredVm(V1)] };
    const epoch = cluster.commitUntold(again);
    gate.tellRecord(epoch, again);
    await gate.waitForStanding((standing) => standing.epoch === epoch);
    const head =
      "GET / HTTP/1.1\r\nHost: hello.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nping";
    expect(await sendRaw(port, head, (text) => text.endsWith("ping"))).toMatch(/^HTTP\/1\.1 101 /);
  });
});

describe("a body", () => {
  const sizes = [1, REPLAY_BYTES_MAX, REPLAY_BYTES_MAX + 1, 3_000_000];

  test.each(sizes)("of %i bytes reaches the VM whole when the record changed under it", async (size) => {
    const vm = await cluster.upstream((request, response) => {
      const hash = createHash("sha256");
      request.on("data", (chunk: Buffer) => hash.update(chunk));
      request.on("end", () => response.end(hash.digest("hex")));
    });
    const { port } = await serve(vm.port);
    const again = { vms: [desiredVm(V1)] };
    const epoch = cluster.commitUntold(again);
    gate.tellRecord(epoch, again);
    await gate.waitForStanding((standing) => standing.epoch === epoch);
    const body = randomBytes(size);
    const wanted = createHash("sha256").update(body).digest("hex");
    for (const headers of [{}, { "transfer-encoding": "chunked" }])
      expect(await ask({ port, method: "POST", body, headers })).toMatchObject({ status: 200, body: wanted });
    expect(vm.seen).toBe(2);
  });

  test("over the bound does not leave before the gate claimed it: a gate that says nothing gets no more of it", async () => {
    const stalled = createServer();
    stalled.listen(0, "127.0.0.1");
    await once(stalled, "listening");
    const vm = await cluster.upstream(answering("one"));
    const { port } = await serve(vm.port);
    const { port: stalledPort } = stalled.address() as { port: number };
    let bytes = 0;
    const sockets: Socket[] = [];
    stalled.on("connection", (socket) => {
      sockets.push(socket);
      socket.on("data", (chunk) => {
        bytes += chunk.length;
        // All that may come without a word of ours; its head is small.
        if (bytes > REPLAY_BYTES_MAX) setImmediate(() => socket.destroy());
      });
    });
    gate.announce(stalledPort);
    const { status } = await ask({ port, method: "POST", body: randomBytes(2_000_000) });
    expect(status).toBe(502);
    expect(bytes).toBeLessThan(REPLAY_BYTES_MAX + 4_096);
    expect(vm.seen).toBe(0);
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => stalled.close(() => resolve()));
  });
});
