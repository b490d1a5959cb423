// Requests that are held, through a real proxy: what reached a VM is counted at the VM.

import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { HOLD_DEFAULTS, type HoldSpec } from "../../mesh/index.ts";
import { type Answer, ask } from "../testing/client.ts";
import { desiredVm, type RecordOptions, TestCluster, type TestProxy } from "../testing/cluster.ts";
import { applied, CLOSED, HELD, metric, SERVING, V1, waiting } from "../testing/holding.ts";

let cluster: TestCluster;
beforeEach(() => {
  cluster = new TestCluster();
});
afterEach(async () => {
  await cluster.close();
});

const commit = (options: RecordOptions) => applied(cluster, options);

/** A proxy in front of one VM that remembers the paths that it got, in order. */
async function held(hold: HoldSpec = HOLD_DEFAULTS): Promise<{ proxy: TestProxy; paths: string[] }> {
  const paths: string[] = [];
  const vm = await cluster.upstream((request, response) => {
    paths.push(request.url ?? "");
    request.resume().on("end", () => response.end("hi"));
  });
  const proxy = await cluster.serve({ [V1]: vm.port });
  await commit({ ...HELD, hold });
  return { proxy, paths };
}

describe("while an app is held its requests", () => {
  test("wait, reach no VM, and go in the order in which they came once it is not", async () => {
    const { proxy, paths } = await held();
    const answers: Promise<Answer>[] = [];
    for (const name of ["/a", "/b", "/c"]) {
      answers.push(ask({ port: proxy.port, path: name }));
      await waiting(proxy, answers.length);
    }
    expect(paths).toEqual([]);
    await commit(SERVING);
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(paths).toEqual(["/a", "/b", "/c"]);
  });

  test("wait although the app has no VM at all", async () => {
    const { proxy } = await held();
    await commit({ vms: [], heldBy: "launch" });
    const answer = ask({ port: proxy.port });
    await waiting(proxy, 1);
    await commit(SERVING);
    expect((await answer).status).toBe(200);
  });

  test("are told to come again when the app is given up meanwhile, and who comes then that nobody knows it", async () => {
    const { proxy } = await held();
    await commit({ vms: [], heldBy: "launch" });
    const answer = ask({ port: proxy.port });
    await waiting(proxy, 1);
    await commit({ vms: [], hostnames: [] });
    const { status, headers, body } = await answer;
    expect([status, headers["retry-after"]]).toEqual([503, "1"]);
    expect(body).toContain("hello was given up while this request waited");
    expect((await ask({ port: proxy.port })).status).toBe(404);
  });

  test("keep their bodies", async () => {
    const { proxy, paths } = await held();
    const answer = ask({ port: proxy.port, method: "POST", body: "x".repeat(300_000) });
    await waiting(proxy, 1);
    await commit(SERVING);
    expect([(await answer).status, paths.length]).toEqual([200, 1]);
  });

  test("are told to come again when there are too many, and make room when their client leaves", async () => {
    const { proxy, paths } = await held({ ...HOLD_DEFAULTS, maxRequests: 1 });
    const first = httpRequest({ port: proxy.port, host: "127.0.0.1", headers: { host: "hello.localhost" } });
    first.on("error", () => undefined).end();
    await waiting(proxy, 1);
    const second = await ask({ port: proxy.port });
    expect([second.status, second.headers["retry-after"]]).toEqual([503, "1"]);
    expect(second.body).toContain("1 wait here already");
    first.destroy();
    await waiting(proxy, 0);
    const third = ask({ port: proxy.port });
    await waiting(proxy, 1);
    await commit(SERVING);
    expect([(await third).status, paths.length]).toEqual([200, 1]);
  });

  test("that got too old are told so, and nothing is sent on by that", async () => {
    const { proxy, paths } = await held({ ...HOLD_DEFAULTS, maxAgeMs: 100 });
    const { status, headers, body } = await ask({ port: proxy.port });
    expect([status, headers["retry-after"], paths]).toEqual([503, "1", []]);
    expect(body).toContain("has waited for 100ms");
    expect((await ask({ port: proxy.port })).status).toBe(503);
    expect(paths).toEqual([]);
  });

  test("that wait for a connection to a VM which leaves by it go to the next one", async () => {
    const { proxy } = await held();
    await commit(SERVING);
    await commit(CLOSED);
    const answer = ask({ port: proxy.port, method: "POST", body: "once" });
    await waiting(proxy, 1);
    const next = await cluster.upstream((_request, response) => response.end("new"));
    cluster.writeVm("hello-v2-1", next.port);
    await commit({ vms: [desiredVm("hello-v2-1")] });
    expect((await answer).body).toBe("new");
  });
});

describe("what runs without end on a VM that leaves by a hold", () => {
  async function upgraded(port: number): Promise<{ socket: Socket; head: Buffer }> {
    const headers = { host: "hello.localhost", connection: "Upgrade", upgrade: "websocket" };
    const request = httpRequest({ port, host: "127.0.0.1", headers }).end();
    const [, socket, head] = (await once(request, "upgrade")) as [IncomingMessage, Socket, Buffer];
    return { socket, head };
  }

  test("a WebSocket is told 1012 between two frames, and its answer reaches the VM", async () => {
    const vm = await cluster.upstream(() => undefined);
    const atVm: Buffer[] = [];
    const opened = Promise.withResolvers<Socket>();
    vm.server.on("upgrade", (_request, socket: Socket) => {
      socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
      // Half a frame: five bytes are announced.
      socket.write(Buffer.from([0x81, 0x05, 0x68, 0x65]));
      socket.on("data", (chunk: Buffer) => {
        atVm.push(chunk);
        socket.end();
      });
      opened.resolve(socket);
    });
    const proxy = await cluster.serve({ [V1]: vm.port });
    const { socket, head } = await upgraded(proxy.port);
    const got = [head];
    const isTold = Promise.withResolvers<void>();
    socket.on("data", (chunk: Buffer) => {
      got.push(chunk);
      if (Buffer.concat(got).length >= 11) isTold.resolve();
    });
    const epoch = cluster.commit(CLOSED);
    await cluster.waitForAck((ack) => ack.applied === epoch);
    // The rest of the frame; what follows it is for nobody.
    (await opened.promise).write(Buffer.from([0x6c, 0x6c, 0x6f, 0x81, 0x01, 0x21]));
    await isTold.promise;
    expect(Buffer.concat(got).toString("hex")).toBe("810568656c6c6f880203f4");
    const answer = Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xf4]);
    socket.write(answer);
    await once(socket, "close");
    expect(Buffer.concat(atVm)).toEqual(answer);
    await cluster.waitForAck((ack) => ack.applied === epoch && ack.inFlight.length === 0);
  });

  test("a stream of events ends, and other answers are finished", async () => {
    const open: { finish: () => void }[] = [];
    const vm = await cluster.upstream((request, response) => {
      const type = request.url === "/events" ? "text/event-stream" : "text/plain";
      response.writeHead(200, { "content-type": type }).write("data: 1\n\n");
      open.push({ finish: () => response.end("the end") });
    });
    const proxy = await cluster.serve({ [V1]: vm.port });
    const events = ask({ port: proxy.port, path: "/events" });
    const text = ask({ port: proxy.port, path: "/text" });
    await metric(proxy, "grapevine_proxy_in_flight_requests", (value) => value === 2 && open.length === 2);
    await commit(CLOSED);
    expect((await events).body).toBe("data: 1\n\n");
    for (const { finish } of open) finish();
    expect((await text).body).toBe("data: 1\n\nthe end");
  });
});
