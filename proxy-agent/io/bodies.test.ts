// Bodies through the proxy, both ways: whole, in pieces, slow, unwanted.

import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { Readable } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ask, sendRaw } from "../testing/client.ts";
import { TestCluster } from "../testing/cluster.ts";

let cluster: TestCluster;
beforeEach(() => {
  cluster = new TestCluster();
});
afterEach(async () => {
  await cluster.close();
});

describe("bodies", () => {
  test("of 20 MB stream up and down unchanged", async () => {
    const vm = await cluster.upstream((request, response) => request.pipe(response));
    const { port } = await cluster.serve({ "hello-v1-1": vm.port });
    const body = randomBytes(20 * 1024 * 1024);
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const request = httpRequest(
      { port, host: "127.0.0.1", method: "POST", headers: { host: "hello.localhost" } },
      resolve,
    );
    request.on("error", reject);
    request.end(body);
    const hash = createHash("sha256");
    let bytes = 0;
    for await (const chunk of await promise) {
      hash.update(chunk);
      bytes += chunk.length;
    }
    expect(bytes).toBe(body.length);
    expect(hash.digest("hex")).toBe(createHash("sha256").update(body).digest("hex"));
  });

  test("wait for a slow client: the VM is not read ahead of it without bound", async () => {
    const total = 50 * 1024 * 1024;
    let written = 0;
    const vm = await cluster.upstream((_request, response) => {
      const chunk = Buffer.alloc(64 * 1024);
      const more = () => {
        while (written < total) {
          written += chunk.length;
          if (!response.write(chunk)) {
            response.once("drain", more);
            return;
          }
        }
        response.end();
      };
      more();
    });
    const { port } = await cluster.serve({ "hello-v1-1": vm.port });
    const request = httpRequest({ port, host: "127.0.0.1", headers: { host: "hello.localhost" } });
    request.end();
    const [response] = (await once(request, "response")) as [IncomingMessage];
    await untilStill(() => written);
    // Kernel buffers of two connections and ours; the rest waits at the VM.
    expect(written).toBeLessThan(total / 2);
    let read = 0;
    for await (const chunk of response) read += chunk.length;
    expect(read).toBe(total);
  });

  test("wait for a slow VM: the client is not read ahead of it without bound", async () => {
    const total = 50 * 1024 * 1024;
    const { promise: came, resolve: come } = Promise.withResolvers<() => void>();
    const vm = await cluster.upstream((request, response) => {
      request.pause();
      come(() => {
        let read = 0;
        request.on("data", (chunk: Buffer) => (read += chunk.length));
        request.on("end", () => response.end(String(read))).resume();
      });
    });
    const { port } = await cluster.serve({ "hello-v1-1": vm.port });
    let written = 0;
    async function* pieces(): AsyncGenerator<Buffer> {
      for (; written < total; written += 64 * 1024) yield Buffer.alloc(64 * 1024);
    }
    const headers = { host: "hello.localhost" };
    const request = httpRequest({ port, host: "127.0.0.1", method: "POST", headers });
    const answered = once(request, "response") as Promise<[IncomingMessage]>;
    Readable.from(pieces()).pipe(request);
    const read = await came;
    await untilStill(() => written);
    // Kernel buffers of two connections and ours; the rest waits at the client.
    expect(written).toBeLessThan(total / 2);
    read();
    const [response] = await answered;
    expect(String((await once(response, "data"))[0])).toBe(String(total));
  });

  test("arrive piece by piece: nothing waits for the whole", async () => {
    const vm = await cluster.upstream((request, response) => {
      response.writeHead(200);
      request.on("data", (chunk: Buffer) => response.write(chunk.toString().toUpperCase()));
      request.on("end", () => response.end());
    });
    const { port } = await cluster.serve({ "hello-v1-1": vm.port });
    const request = httpRequest({
      port,
      host: "127.0.0.1",
      method: "POST",
      headers: { host: "hello.localhost" },
    });
    request.write("first");
    const [response] = (await once(request, "response")) as [IncomingMessage];
    expect(String((await once(response, "data"))[0])).toBe("FIRST");
    request.write("second");
    expect(String((await once(response, "data"))[0])).toBe("SECOND");
    request.end();
    await once(response, "end");
  });

  test("that have not begun do not keep the head of an answer: an event stream opens at once", async () => {
    const vm = await cluster.upstream((_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
    });
    const { port } = await cluster.serve({ "hello-v1-1": vm.port });
    const request = httpRequest({ port, host: "127.0.0.1", headers: { host: "hello.localhost" } });
    request.on("error", () => undefined).end();
    const [response] = (await once(request, "response")) as [IncomingMessage];
    expect(response.headers["content-type"]).toBe("text/event-stream");
    request.destroy();
  });

  test("of answers to HTTP/1.0 clients end with the connection, unchunked", async () => {
    const vm = await cluster.upstream((_request, response) => {
      response.write("a");
      response.end("b");
    });
    const { port } = await cluster.serve({ "hello-v1-1": vm.port });
    const answer = await sendRaw(port, "GET / HTTP/1.0\r\nHost: hello.localhost\r\n\r\n");
    expect(answer).toMatch(/^HTTP\/1.1 200 .*connection: close\r\n\r\nab$/is);
  });

  test("are asked for by 100 Continue only once a VM is there, and never for a refused request", async () => {
    const vm = await cluster.upstream((request, response) => request.pipe(response));
    const { port } = await cluster.serve({ "hello-v1-1": vm.port });
    const head = (host: string) =>
      `POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n`;
    const socket = connect(port, "127.0.0.1");
    socket.write(head("hello.localhost"));
    expect(String((await once(socket, "data"))[0])).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\n$/);
    socket.write("body");
    expect(String((await once(socket, "data"))[0])).toContain("200 OK");
    socket.destroy();
    const refused = await sendRaw(port, head("nobody.localhost"));
    expect(refused).toMatch(/^HTTP\/1.1 404 /);
    expect(refused).toMatch(/connection: close/i);
  });

  test("that the VM does not want to the end do not keep its answer from the client", async () => {
    const vm = await cluster.upstream((_request, response) => response.writeHead(413).end("too much"));
    const { port } = await cluster.serve({ "hello-v1-1": vm.port });
    const answer = await ask({ port, method: "POST", body: Buffer.alloc(4 * 1024 * 1024) });
    expect(answer).toMatchObject({ status: 413, body: "too much" });
  });
});

/** Resolves once the number no longer grows between two looks. */
async function untilStill(read: () => number): Promise<void> {
  let before = -1;
  let still = 0;
  while (still < 2_000) {
    still = read() === before ? still + 1 : 0;
    before = read();
    await turn();
  }
}
