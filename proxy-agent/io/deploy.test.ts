// What a deploy looks like from here: tables that change under load, drains, and the answers that let it go on.

import { once } from "node:events";
import { Agent, request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import { connect, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ask, sendRaw } from "../testing/client.ts";
import { answering, desiredVm, freePort, startUpstream, TestCluster } from "../testing/cluster.ts";

let cluster: TestCluster;
beforeEach(() => {
  cluster = new TestCluster();
});
afterEach(async () => {
  await cluster.close();
});

describe("a table that changes under load", () => {
  test("fails no request, and after its ack nothing is sent to the VM that left, even if that stops at once", async () => {
    const { port } = await cluster.serve({ "hello-v1-1": (await cluster.upstream(answering("v1"))).port });
    const agent = new Agent({ keepAlive: true, maxSockets: 8 });
    let isOver = false;
    const statuses = new Map<number, number>();
    const load = Array.from({ length: 16 }, async (_, index) => {
      while (!isOver) {
        const method = index % 2 ? "POST" : "GET";
        const body = method === "POST" ? "x".repeat(2_000) : undefined;
        const options = { port, method, ...(index % 4 < 2 ? { agent } : {}), ...(body ? { body } : {}) };
        const { status } = await ask(options);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    });
    let old = await startUpstream(answering("unused"));
    for (let number = 2; number <= 12; number += 1) {
      const vm = await startUpstream(answering(`v${number}`));
      const [oldName, newName] = [`hello-v${number - 1}-1`, `hello-v${number}-1`];
      const requires = cluster.writeVm(newName, vm.port);
      const added = cluster.commit({ vms: [desiredVm(oldName), desiredVm(newName, "serving", requires)] });
      await cluster.waitForAck((ack) => ack.verified === added);
      const cordoned = cluster.commit({ vms: [desiredVm(oldName, "cordoned"), desiredVm(newName)] });
      await cluster.waitForAck((ack) => ack.applied === cordoned && ack.inFlight.length === 0);
      // Of v1 the cluster itself stops the server; all others are stopped here as a host would.
      const seen = old.seen;
      await old.close();
      expect(old.seen).toBe(seen);
      old = vm;
      cluster.commit({ vms: [desiredVm(newName)] });
    }
    isOver = true;
    await Promise.all(load);
    expect([...statuses.keys()]).toEqual([200]);
    expect(statuses.get(200)).toBeGreaterThan(100);
    agent.destroy();
    await old.close();
  });
});

describe("a drain", () => {
  /** A VM whose answers begin at once and end when told. */
  async function slowVm(): Promise<{ port: number; end: () => void; began: () => Promise<void> }> {
    const responses: ServerResponse[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    const vm = await cluster.upstream((_request, response) => {
      response.writeHead(200);
      response.write("begin ");
      responses.push(response);
      resolve();
    });
    const end = () => {
      for (const response of responses.splice(0)) response.end("end");
    };
    return { port: vm.port, end, began: () => promise };
  }

  test("tells what still runs on a VM that left, and when that is over", async () => {
    const vm = await slowVm();
    const { port } = await cluster.serve({ "hello-v1-1": vm.port });
    const answer = ask({ port });
    await vm.began();
    const epoch = cluster.commit({ vms: [desiredVm("hello-v1-1", "cordoned")] });
    const busy = await cluster.waitForAck((ack) => ack.applied === epoch);
    expect(busy.inFlight).toEqual([{ vm: "hello-v1-1", requests: 1 }]);
    expect(busy.lastDispatch).toMatchObject([{ vm: "hello-v1-1" }]);
    vm.end();
    expect(await answer).toMatchObject({ status: 200, body: "begin end" });
    const drained = await cluster.waitForAck((ack) => ack.inFlight.length === 0);
    expect(drained).toMatchObject({ applied: epoch, cut: [] });
  });

  test("cuts what still runs at its deadline, and tells how many", async () => {
    const vm = await slowVm();
    const { port } = await cluster.serve({ "hello-v1-1": vm.port }, { drainTimeoutMs: 50 });
    const answer = ask({ port });
    await vm.began();
    cluster.commit({ vms: [desiredVm("hello-v1-1", "cordoned")], drainTimeoutMs: 50 });
    await expect(answer).rejects.toThrow();
    const drained = await cluster.waitForAck((ack) => ack.inFlight.length === 0 && ack.cut.length > 0);
    expect(drained.cut).toEqual([{ vm: "hello-v1-1", requests: 1 }]);
  });

  test("ends when its VM is routed to again: what runs is not cut", async () => {
    const vm = await slowVm();
    const { port } = await cluster.serve({ "hello-v1-1": vm.port }, { drainTimeoutMs: 1_000 });
    const answer = ask({ port });
    await vm.began();
    const gone = cluster.commit({ vms: [desiredVm("hello-v1-1", "cordoned")], drainTimeoutMs: 1_000 });
    await cluster.waitForAck((ack) => ack.applied === gone && ack.inFlight.length === 1);
    const back = cluster.commit({ vms: [desiredVm("hello-v1-1")], drainTimeoutMs: 1_000 });
    await cluster.waitForAck((ack) => ack.applied === back && ack.inFlight.length === 0);
    // Another VM that left later, and as patient, is cut by now: so would this one have been.
    const other = await cluster.upstream((_request, response) => response.writeHead(200).write("for ever"));
    cluster.writeVm("other-v1-1", other.port);
    const vms = [desiredVm("other-v1-1")];
    const served = cluster.commit({ app: "other", vms, drainTimeoutMs: 1_000 });
    await cluster.waitForAck((ack) => ack.applied === served, "other");
    const cut = ask({ port, host: "other.localhost" });
    await once(other.server, "request");
    cluster.commit({ app: "other", vms: [desiredVm("other-v1-1", "cordoned")], drainTimeoutMs: 1_000 });
    await expect(cut).rejects.toThrow();
    vm.end();
    expect(await answer).toMatchObject({ body: "begin end" });
  });

  test("closes the idle connections to its VM once nothing runs there", async () => {
    const vm = await cluster.upstream(answering("one"));
    const { port } = await cluster.serve({ "hello-v1-1": vm.port });
    await ask({ port });
    const [connection] = [...vm.connections];
    expect(connection?.destroyed).toBe(false);
    cluster.commit({ vms: [desiredVm("hello-v1-1", "cordoned")] });
    if (connection && !connection.destroyed) await once(connection, "close");
    expect(vm.connections.size).toBe(0);
  });
});

describe("a WebSocket", () => {
  /** Echoes bytes after a handshake that any client takes; refuses /no. */
  async function echoVm(): Promise<number> {
    const vm = await cluster.upstream((_request, response) => response.writeHead(426).end("not here"));
    vm.server.on("upgrade", (request: IncomingMessage, socket: Socket) => {
      socket.on("error", () => undefined);
      if (request.url === "/no") {
        socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
        return;
      }
      socket.write(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Echo: yes\r\n\r\n",
      );
      socket.pipe(socket);
    });
    return vm.port;
  }

  async function upgrade(port: number, path = "/"): Promise<{ response: IncomingMessage; socket: Socket }> {
    const headers = {
      host: "hello.localhost",
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
    };
    const request = httpRequest({ port, host: "127.0.0.1", path, headers, agent: false });
    request.end();
    const [response, socket] = (await once(request, "upgrade")) as [IncomingMessage, Socket];
    socket.on("error", () => undefined);
    return { response, socket };
  }

  test("is one pipe through the proxy, both ways", async () => {
    const { port } = await cluster.serve({ "hello-v1-1": await echoVm() });
    const { response, socket } = await upgrade(port);
    expect(response.headers).toMatchObject({
      "x-echo": "yes",
      "grapevine-vm": "hello-v1-1",
      upgrade: "websocket",
    });
    socket.write("ping");
    expect(String((await once(socket, "data"))[0])).toBe("ping");
    socket.end();
    await once(socket, "close");
  });

  test("whose first data comes with its handshake loses none of it", async () => {
    const { port } = await cluster.serve({ "hello-v1-1": await echoVm() });
    const head =
      "GET / HTTP/1.1\r\nHost: hello.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    const answer = await sendRaw(port, `${head}early`, (text) => text.endsWith("early"));
    expect(answer).toMatch(/^HTTP\/1.1 101 .*\r\n\r\nearly$/s);
  });

  test("that the VM refuses gets the VM's answer", async () => {
    const { port } = await cluster.serve({ "hello-v1-1": await echoVm() });
    const headers = { connection: "Upgrade", upgrade: "websocket" };
    expect(await ask({ port, path: "/no", headers })).toMatchObject({ status: 403, body: "no" });
  });

  test("that nobody wants ends its connection, also if its client does not close it", async () => {
    const { port } = await cluster.serve({ "hello-v1-1": await echoVm() });
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    socket.write("GET / HTTP/1.1\r\nHost: nobody\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    socket.resume();
    await once(socket, "end");
    const reset = new Promise((resolve) => socket.on("error", resolve));
    const write = () => socket.write("more", (error) => error ?? setImmediate(write));
    write();
    await reset;
  });

  test("that is asked for behind a request that runs is not granted; that request is answered", async () => {
    const { promise: came, resolve: come } = Promise.withResolvers<ServerResponse>();
    const vm = await cluster.upstream((_request, response) => come(response));
    const { port } = await cluster.serve({ "hello-v1-1": vm.port });
    const head = "GET / HTTP/1.1\r\nHost: hello.localhost\r\n";
    const answer = sendRaw(port, `${head}\r\n${head}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`);
    (await came).end("first");
    expect(await answer).toMatch(/^HTTP\/1.1 200 .*\r\n\r\nfirst$/s);
    expect(vm.seen).toBe(1);
  });

  test("is dialled elsewhere when an endpoint refuses the connection", async () => {
    const proxy = await cluster.proxy();
    cluster.writeVm("hello-v1-1", await freePort());
    cluster.writeVm("hello-v1-2", await echoVm());
    const epoch = cluster.commit({ vms: [desiredVm("hello-v1-1"), desiredVm("hello-v1-2")] });
    await cluster.waitForAck((ack) => ack.applied === epoch);
    for (let count = 0; count < 8; count += 1) {
      const { response, socket } = await upgrade(proxy.port);
      expect(response.headers["grapevine-vm"]).toBe("hello-v1-2");
      socket.destroy();
    }
  });

  test("is in flight, and is cut at the drain deadline", async () => {
    const { port } = await cluster.serve({ "hello-v1-1": await echoVm() }, { drainTimeoutMs: 100 });
    const { socket } = await upgrade(port);
    const epoch = cluster.commit({ vms: [desiredVm("hello-v1-1", "cordoned")], drainTimeoutMs: 100 });
    await cluster.waitForAck((ack) => ack.applied === epoch && ack.inFlight[0]?.requests === 1);
    if (!socket.destroyed) await once(socket, "close");
    const ack = await cluster.waitForAck(({ cut }) => cut.length > 0);
    expect(ack).toMatchObject({ inFlight: [], cut: [{ vm: "hello-v1-1", requests: 1 }] });
  });

  test("works with a browser's client", async () => {
    const { createHash } = await import("node:crypto");
    const vm = await cluster.upstream(answering("plain"));
    vm.server.on("upgrade", (request: IncomingMessage, socket: Socket) => {
      const key = `${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
      const accept = createHash("sha1").update(key).digest("base64");
      const lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"];
      socket.write(`${[...lines, `Sec-WebSocket-Accept: ${accept}`].join("\r\n")}\r\n\r\n`);
      // One unmasked text frame, "hi".
      socket.write(Buffer.from([0x81, 2, 0x68, 0x69]));
    });
    const { port } = await cluster.serve({ "hello-v1-1": vm.port });
    cluster.commit({ vms: [desiredVm("hello-v1-1")], hostnames: ["127.0.0.1"] });
    await cluster.waitForAck((ack) => ack.applied === 2);
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
    const { promise, resolve } = Promise.withResolvers<unknown>();
    socket.addEventListener("message", (event) => resolve(event.data));
    expect(await promise).toBe("hi");
    const ended = once(socket, "close");
    for (const connection of vm.connections) connection.destroy();
    await ended;
  });
});

describe("an ack", () => {
  test("waits for what the record requires, then says applied, then verified", async () => {
    const vm = await cluster.upstream(answering("one"));
    await cluster.proxy();
    const { incarnation, startId, counter } = cluster.writeVm("hello-v1-1", vm.port, { health: "unknown" });
    const requires = { incarnation, startId, counter: counter + 2 };
    const epoch = cluster.commit({ vms: [desiredVm("hello-v1-1", "serving", requires)] });
    const waiting = await cluster.waitForAck((ack) => ack.nack?.epoch === epoch);
    expect(waiting).toMatchObject({ applied: 0, verified: 0 });
    expect(waiting.nack?.reason).toContain("waits for hello-v1-1 of host-1");
    cluster.writeVm("hello-v1-1", vm.port);
    const done = await cluster.waitForAck((ack) => ack.verified === epoch);
    expect(done).toMatchObject({ applied: epoch, nack: null });
  });

  test("names an endpoint that cannot be dialled, and is verified once it can", async () => {
    const port = await freePort();
    await cluster.proxy();
    cluster.writeVm("hello-v1-1", port);
    const epoch = cluster.commit({ vms: [desiredVm("hello-v1-1")] });
    const nack = await cluster.waitForAck((ack) => ack.nack !== null);
    expect(nack).toMatchObject({ applied: epoch, verified: 0 });
    expect(nack.nack?.reason).toContain(`cannot dial hello-v1-1 at 127.0.0.1:${port}: `);
    const late = await startUpstream(answering("late"), port);
    expect(await cluster.waitForAck((ack) => ack.verified === epoch)).toMatchObject({ nack: null });
    await late.close();
  });

  test("is repeated, so that a voter that lost it has it again", async () => {
    const { port } = await cluster.upstream(answering("one"));
    await cluster.serve({ "hello-v1-1": port }, { timing: { ackSettledMs: 20 } });
    cluster.messages.length = 0;
    expect(await cluster.waitForAck((ack) => ack.verified === 1)).toMatchObject({ applied: 1 });
  });

  test("is repeated in time although other answers change all the while", async () => {
    const { port } = await cluster.upstream(answering("one"));
    await cluster.serve({ "hello-v1-1": port }, { timing: { ackSettledMs: 50 } });
    cluster.messages.length = 0;
    let isOver = false;
    const repeated = cluster
      .waitForAck((ack) => ack.verified === 1)
      .then(() => {
        isOver = true;
      });
    while (!isOver) {
      const epoch = cluster.commit({ app: "other", vms: [] });
      await cluster.waitForAck((ack) => ack.verified === epoch, "other");
    }
    await repeated;
  });

  test("of a destroyed app says that its epoch is in force, and its hostname is unknown then", async () => {
    const { port } = await cluster.serve({ "hello-v1-1": (await cluster.upstream(answering("one"))).port });
    const epoch = cluster.commit({ vms: [], deleted: true });
    expect(await cluster.waitForAck((ack) => ack.verified === epoch)).toMatchObject({ nack: null });
    expect(await ask({ port })).toMatchObject({ status: 404 });
  });
});
