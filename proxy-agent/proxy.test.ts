import { Agent, request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CLIENT_PIPELINED_MAX } from "./limits.ts";
import { ask, sendRaw } from "./testing/client.ts";
import { answering, TestCluster } from "./testing/cluster.ts";

let cluster: TestCluster;
beforeEach(() => {
  cluster = new TestCluster();
});
afterEach(async () => {
  await cluster.close();
});

describe("a request", () => {
  test("reaches the VM of its app, whatever the case, port and dot of its Host, and the answer names both", async () => {
    const vm = await cluster.upstream(answering("one"));
    const { port } = await cluster.serve({ "hello-v3-1": vm.port });
    for (const host of ["hello.localhost", "HELLO.localhost:8080", "hello.localhost."]) {
      const answer = await ask({ port, host });
      expect(answer).toMatchObject({ status: 200, body: "one" });
      expect(answer.headers).toMatchObject({ "grapevine-release": "v3", "grapevine-vm": "hello-v3-1" });
    }
  });

  test("for an unknown host is a 404 that says so, for an app without VMs a 503 that says when to come back", async () => {
    const { port } = await cluster.serve({});
    const unknown = await ask({ port, host: "nobody.localhost" });
    expect(unknown).toMatchObject({
      status: 404,
      body: '404 Not Found: no app has the hostname "nobody.localhost"\n',
    });
    const empty = await ask({ port });
    expect(empty).toMatchObject({
      status: 503,
      body: "503 Service Unavailable: hello has no VM that serves\n",
    });
    expect(empty.headers["retry-after"]).toBe("1");
  });

  test("keeps the case and repeats of headers, loses those of one hop, and says for whom it is", async () => {
    let seen: readonly string[] = [];
    const vm = await cluster.upstream((request, response) => {
      seen = request.rawHeaders;
      response.writeHead(200, [
        "X-CaSe",
        "1",
        "Set-Cookie",
        "a=1",
        "Set-Cookie",
        "b=2",
        "Connection",
        "x-drop",
        "X-Drop",
        "1",
      ]);
      response.end();
    });
    const { port } = await cluster.serve({ "hello-v1-1": vm.port });
    const headers = {
      "X-Mixed": "yes",
      connection: "x-secret, close",
      "X-Secret": "1",
      TE: "trailers",
      "X-Forwarded-For": "1.2.3.4",
    };
    const answer = await ask({ port, headers });
    expect(seen).toContain("X-Mixed");
    expect(seen).not.toContain("X-Secret");
    expect(seen).not.toContain("TE");
    const sent = Object.fromEntries(
      seen.flatMap((name, index) => (index % 2 ? [] : [[name, seen[index + 1]]])),
    );
    expect(sent["X-Forwarded-For"]).toBe("1.2.3.4, 127.0.0.1");
    expect(sent["X-Forwarded-Proto"]).toBe("http");
    expect(sent["X-Forwarded-Host"]).toBe("hello.localhost");
    expect(answer.rawHeaders).toContain("X-CaSe");
    expect(answer.rawHeaders).not.toContain("X-Drop");
    expect(answer.headers["set-cookie"]).toEqual(["a=1", "b=2"]);
  });

  test("by HEAD, and answers 204 and 304, have no body and leave the connection usable", async () => {
    const vm = await cluster.upstream((request, response) => {
      if (request.url === "/204") response.writeHead(204).end();
      else if (request.url === "/304") response.writeHead(304, { etag: '"x"', "content-length": "7" }).end();
      else
        response
          .writeHead(200, { "content-length": "5" })
          .end(request.method === "HEAD" ? undefined : "12345");
    });
    const { port } = await cluster.serve({ "hello-v1-1": vm.port });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const head = await ask({ port, agent, method: "HEAD" });
    expect(head).toMatchObject({ status: 200, body: "" });
    expect(head.headers["content-length"]).toBe("5");
    expect(await ask({ port, agent, path: "/204" })).toMatchObject({ status: 204, body: "" });
    expect(await ask({ port, agent, path: "/304" })).toMatchObject({ status: 304, body: "" });
    expect(await ask({ port, agent })).toMatchObject({ status: 200, body: "12345" });
    agent.destroy();
  });

  test.each([
    ["by HEAD", "HEAD / HTTP/1.1\r\nConnection: close", /^HTTP\/1.1 200 OK\r\n/],
    ["by HTTP/1.0", "GET / HTTP/1.0", /^HTTP\/1.1 200 OK\r\n.*\r\n\r\nbody$/s],
  ])("%s is answered also when the answer announces trailers", async (_name, head, wanted) => {
    const vm = await cluster.upstream((_request, response) => response.end());
    // Node's own server never writes this to HEAD; others do.
    vm.server.removeAllListeners("request").on("request", ({ method, socket }: IncomingMessage) => {
      const body = method === "HEAD" ? "" : "4\r\nbody\r\n0\r\nX-Sum: 42\r\n\r\n";
      socket.end(`HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n${body}`);
    });
    const { port } = await cluster.serve({ "hello-v1-1": vm.port });
    expect(await sendRaw(port, `${head}\r\nHost: hello.localhost\r\n\r\n`)).toMatch(wanted);
  });

  test("passes trailers of the answer", async () => {
    const vm = await cluster.upstream((_request, response) => {
      response.writeHead(200, { trailer: "x-sum" });
      response.write("body");
      response.addTrailers({ "x-sum": "42" });
      response.end();
    });
    const { port } = await cluster.serve({ "hello-v1-1": vm.port });
    expect((await ask({ port })).trailers).toEqual({ "x-sum": "42" });
  });

  test("uses one client connection and one upstream connection again and again", async () => {
    const vm = await cluster.upstream(answering("one"));
    const { port } = await cluster.serve({ "hello-v1-1": vm.port });
    // The verifier's own dial came and went before.
    await cluster.waitForAck((ack) => ack.verified === 1);
    let opened = 0;
    vm.server.on("connection", () => {
      opened += 1;
    });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let count = 0; count < 20; count += 1) await ask({ port, agent });
    expect(opened).toBe(1);
    agent.destroy();
  });
});

describe("bad requests", () => {
  test.each([
    [
      "Content-Length beside Transfer-Encoding",
      "POST / HTTP/1.1\r\nHost: hello.localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    [
      "two lengths",
      "POST / HTTP/1.1\r\nHost: hello.localhost\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    ],
    [
      "two hosts",
      "GET / HTTP/1.1\r\nHost: hello.localhost\r\nHost: other.localhost\r\nConnection: close\r\n\r\n",
    ],
    ["no host", "GET / HTTP/1.1\r\n\r\n"],
    ["no HTTP", "\x16\x03\x01\x02garbage\r\n\r\n"],
    ["a target that is no path", "OPTIONS * HTTP/1.1\r\nHost: hello.localhost\r\nConnection: close\r\n\r\n"],
    ["a space in a header name", "GET / HTTP/1.1\r\nHost: hello.localhost\r\nX Y: 1\r\n\r\n"],
  ])("with %s are refused before a VM sees them", async (_name, text) => {
    const vm = await cluster.upstream(answering("one"));
    const { port } = await cluster.serve({ "hello-v1-1": vm.port });
    expect(await sendRaw(port, text)).toMatch(/^HTTP\/1.1 400 /);
    expect(vm.seen).toBe(0);
    expect(await ask({ port })).toMatchObject({ status: 200 });
  });

  test.each([
    ["a coding that would be lost", "POST / HTTP/1.1", "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"],
    ["Transfer-Encoding in HTTP/1.0", "POST / HTTP/1.0", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    ["two codings", "POST / HTTP/1.1", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ["a folded header", "GET / HTTP/1.1", "X-A: 1\r\n 2\r\n\r\n"],
    ["a list of lengths", "POST / HTTP/1.1", "Content-Length: 3, 3\r\n\r\nabc"],
    ["bare line feeds", "POST / HTTP/1.1", "Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n"],
  ])("whose end is in doubt end their connection: %s", async (_name, line, rest) => {
    const vm = await cluster.upstream(answering("one"));
    const { port } = await cluster.serve({ "hello-v1-1": vm.port });
    const answer = await sendRaw(port, `${line}\r\nHost: hello.localhost\r\n${rest}`);
    expect(answer).toMatch(/^HTTP\/1.1 400 .*connection: close/is);
    expect(await ask({ port })).toMatchObject({ status: 200 });
  });

  test.each([
    ["one that is too long", `X: ${"y".repeat(20_000)}\r\n`],
    ["too many", "a:b\r\n".repeat(3_000)],
  ])("with headers beyond the bound are a 431: %s", async (_name, headers) => {
    const vm = await cluster.upstream(answering("one"));
    const { port } = await cluster.serve({ "hello-v1-1": vm.port });
    const answer = await sendRaw(port, `GET / HTTP/1.1\r\nHost: hello.localhost\r\n${headers}\r\n`);
    expect(answer).toMatch(/^HTTP\/1.1 431 /);
    expect(vm.seen).toBe(0);
  });

  test("sent one after the other without waiting are answered in order, up to a bound", async () => {
    const vm = await cluster.upstream((request, response) => response.end(`${request.url};`));
    const { port } = await cluster.serve({ "hello-v1-1": vm.port });
    const get = (path: string) => `GET /${path} HTTP/1.1\r\nHost: hello.localhost\r\n\r\n`;
    const answers = await sendRaw(port, [1, 2, 3].map(String).map(get).join(""), (text) =>
      text.endsWith("/3;"),
    );
    expect(answers.match(/\/\d;/g)).toEqual(["/1;", "/2;", "/3;"]);
    vm.server.removeAllListeners("request");
    const waiting: ServerResponse[] = [];
    vm.server.on("request", (_request, response) => {
      waiting.push(response);
      if (waiting.length === CLIENT_PIPELINED_MAX) for (const each of waiting) each.end("late");
    });
    const flood = await sendRaw(port, get("x").repeat(3 * CLIENT_PIPELINED_MAX));
    expect(waiting.length).toBe(CLIENT_PIPELINED_MAX);
    expect(flood.match(/HTTP\/1.1 200 /g)?.length).toBe(CLIENT_PIPELINED_MAX);
    expect(flood.match(/HTTP\/1.1 503 /g)?.length).toBe(1);
  });

  test("that follow a good one unread do not take its answer's place", async () => {
    const vm = await cluster.upstream(answering("one"));
    const { port } = await cluster.serve({ "hello-v1-1": vm.port });
    const good = "POST / HTTP/1.1\r\nHost: hello.localhost\r\nContent-Length: 0\r\n\r\n";
    expect(await sendRaw(port, `${good}GET / HTTP/1.1\r\nX Y: 1\r\n\r\n`)).toBe("");
  });

  test("in absolute form are routed by the host that they name", async () => {
    const vm = await cluster.upstream((request, response) =>
      response.end(`${request.headers.host}${request.url}`),
    );
    const { port } = await cluster.serve({ "hello-v1-1": vm.port });
    const text =
      "GET http://hello.localhost/a?b HTTP/1.1\r\nHost: other.localhost\r\nConnection: close\r\n\r\n";
    expect(await sendRaw(port, text)).toContain("hello.localhost/a?b");
  });
});

describe("clients that leave", () => {
  test("end the request at the VM", async () => {
    const { promise: left, resolve } = Promise.withResolvers<void>();
    const { promise: came, resolve: come } = Promise.withResolvers<void>();
    const vm = await cluster.upstream((request) => {
      request.once("close", () => resolve());
      come();
    });
    const { port } = await cluster.serve({ "hello-v1-1": vm.port });
    const request = httpRequest({ port, host: "127.0.0.1", headers: { host: "hello.localhost" } });
    request.on("error", () => undefined);
    request.end();
    await came;
    request.destroy();
    await left;
  });
});
