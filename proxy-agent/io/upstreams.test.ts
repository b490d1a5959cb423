// What becomes of a request whose upstream connection the server closes in the same moment.

import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ask } from "../testing/client.ts";
import { TestCluster } from "../testing/cluster.ts";

let cluster: TestCluster;
const servers: Server[] = [];
beforeEach(() => {
  cluster = new TestCluster();
});
afterEach(async () => {
  await cluster.close();
  for (const server of servers.splice(0)) server.close();
});

interface App {
  readonly port: number;
  /** Connections by the order in which their first request came, with the requests on each. */
  readonly requests: Map<Socket, string[]>;
}

/** An app that answers what `answer` says to the n-th request on a connection, from 1; null: it closes the connection unasked. */
async function startApp(answer: (count: number) => string | null): Promise<App> {
  const requests = new Map<Socket, string[]>();
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => {
      // Heads here are small and come whole; a body may come after its head.
      const [line] = /^[A-Z]+ \/\S* HTTP/.exec(chunk.toString()) ?? [];
      if (line === undefined) return;
      const all = requests.get(socket) ?? [];
      requests.set(socket, all);
      all.push(line);
      const text = answer(all.length);
      if (text === null) socket.destroy();
      else socket.write(text);
    });
  });
  servers.push(server.listen(0, "127.0.0.1"));
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port, requests };
}

const LENGTH = { "content-length": "5" };
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n";

describe("a request that must not run twice", () => {
  test.each(["POST", "PUT", "DELETE", "PATCH"])(
    "never meets a connection that the server may be closing: %s",
    async (method) => {
      // Closes each connection in the moment in which its second request comes.
      const app = await startApp((count) => (count === 1 ? `${OK}\r\nok` : null));
      const { port } = await cluster.serve({ "hello-v1-1": app.port });
      for (let round = 0; round < 5; round += 1) {
        expect(await ask({ port })).toMatchObject({ status: 200 });
        const last = [...app.requests.keys()].at(-1);
        expect(await ask({ port, method, body: "order", headers: LENGTH })).toMatchObject({ status: 200 });
        const used = [...app.requests.keys()].at(-1);
        expect(used).not.toBe(last);
        // An idle one is let go at once.
        if (used !== undefined && !used.destroyed) await once(used, "close");
      }
    },
  );

  test("shares connections of a server that promises to keep them", async () => {
    const app = await startApp(() => `${OK}Keep-Alive: timeout=5\r\n\r\nok`);
    const { port } = await cluster.serve({ "hello-v1-1": app.port });
    for (let round = 0; round < 5; round += 1) await ask({ port, method: "POST", body: "order" });
    expect([...app.requests.values()].map((all) => all.length)).toEqual([5]);
  });
});

test("a GET that met a closing connection is asked again on a new one, though others are idle", async () => {
  const app = await startApp((count) => (count === 1 ? `${OK}\r\nok` : null));
  const { port } = await cluster.serve({ "hello-v1-1": app.port });
  await Promise.all([ask({ port }), ask({ port }), ask({ port })]);
  expect(await ask({ port })).toMatchObject({ status: 200 });
});
