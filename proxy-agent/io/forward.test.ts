import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { type Dispatcher, errors } from "undici";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { appName, memberName, vmName } from "../../mesh/index.ts";
import { gateAnswerHeader } from "../core/gate-headers.ts";
import { EMPTY_TABLE, type Endpoint, nextTable, type RouteTable } from "../core/route-table.ts";
import { appRoute } from "../testing/app-route.ts";
import { ask } from "../testing/client.ts";
import { answering, desiredVm, freePort, TestCluster } from "../testing/cluster.ts";
import { FakeController } from "../testing/fake-controller.ts";
import { AwayGates } from "./away-gates.ts";
import { Exchange } from "./exchange.ts";
import { Flights } from "./flights.ts";
import { Forwarder } from "./forward.ts";
import { HeldRequests } from "./held-requests.ts";
import { targetOf } from "./target.ts";
import type { Upstreams } from "./upstreams.ts";

let cluster: TestCluster;
beforeEach(() => {
  cluster = new TestCluster();
});
afterEach(async () => {
  await cluster.close();
});

describe("a VM that breaks", () => {
  test("off half-way through its answer breaks the client's connection, so that nobody takes it for complete", async () => {
    const vm = await cluster.upstream((_request, response) => {
      response.writeHead(200);
      response.write("half", () => response.destroy());
    });
    const { port } = await cluster.serve({ "hello-v1-1": vm.port });
    await expect(ask({ port })).rejects.toThrow();
    vm.server.removeAllListeners("request");
    vm.server.on("request", answering("again"));
    expect(await ask({ port })).toMatchObject({ status: 200, body: "again" });
  });

  test("before it answers a GET is asked once more, elsewhere or again", async () => {
    let broken = 0;
    const vm = await cluster.upstream((request, response) => {
      broken += 1;
      if (broken === 1) request.socket.destroy();
      else response.end("second time");
    });
    const { port } = await cluster.serve({ "hello-v1-1": vm.port });
    expect(await ask({ port })).toMatchObject({ status: 200, body: "second time" });
  });

  test("before it answers a POST is told to the client, and was sent once", async () => {
    const breaking = await cluster.upstream((request) => {
      request.resume().once("end", () => request.socket.destroy());
    });
    const { port } = await cluster.serve({ "hello-v1-1": breaking.port });
    const answer = await ask({ port, method: "POST", body: "order" });
    expect(answer.status).toBe(502);
    expect(answer.body).toContain("hello-v1-1");
    expect(breaking.seen).toBe(1);
  });

  test("twice before it answers a GET is told to the client", async () => {
    const breaking = await cluster.upstream((request) => request.socket.destroy());
    const { port } = await cluster.serve({ "hello-v1-1": breaking.port });
    expect(await ask({ port })).toMatchObject({ status: 502 });
    expect(breaking.seen).toBe(2);
  });

  test("by an answer that is no HTTP is a 502", async () => {
    const server = createTcpServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => socket.end("nonsense\r\n\r\n"));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = await cluster.serve({ "hello-v1-1": (server.address() as AddressInfo).port });
    expect(await ask({ port })).toMatchObject({ status: 502 });
    server.close();
  });
});

describe("an endpoint that refuses connections", () => {
  test("is passed over for another one, a POST with its body included", async () => {
    const vm = await cluster.upstream((request, response) => request.pipe(response));
    const { port } = await cluster.serve({ "hello-v1-1": await freePort(), "hello-v1-2": vm.port });
    for (let count = 0; count < 20; count += 1) {
      expect(await ask({ port, method: "POST", body: `order ${count}` })).toMatchObject({
        status: 200,
        body: `order ${count}`,
      });
    }
    expect(vm.seen).toBe(20);
  });

  test("is asked again when a newer table names its successor, the body kept until then", async () => {
    const vm = await cluster.upstream((request, response) => request.pipe(response));
    const { port } = await cluster.serve({ "hello-v1-1": await freePort() });
    const answer = ask({ port, method: "PUT", body: "kept" });
    await cluster.waitForAck((ack) => ack.nack !== null);
    cluster.writeVm("hello-v2-1", vm.port);
    cluster.commit({ vms: [desiredVm("hello-v2-1")] });
    expect(await answer).toMatchObject({ status: 200, body: "kept" });
  });

  test("and is the only one is a 502 that names it, after a bounded time", async () => {
    const dead = await freePort();
    const { port } = await cluster.serve({ "hello-v1-1": dead }, { timing: { retryTimeMs: 60 } });
    const answer = await ask({ port });
    expect(answer.status).toBe(502);
    expect(answer.body).toContain(`hello-v1-1 at 127.0.0.1:${dead}`);
  });

  test("is not tried more often because the routes of other apps change", async () => {
    const { port } = await cluster.serve({ "hello-v1-1": await freePort() }, { timing: { retryTimeMs: 60 } });
    let isOver = false;
    const answer = ask({ port }).finally(() => {
      isOver = true;
    });
    while (!isOver) {
      cluster.commit({ app: "other", vms: [] });
      await turn();
    }
    expect((await answer).body).toMatch(/in [1-3] tr(y|ies): hello-v1-1/);
  });

  test("is tried although its host calls it unhealthy, if all are", async () => {
    const vm = await cluster.upstream(answering("alive"));
    const { port } = await cluster.serve({ "hello-v1-1": vm.port });
    cluster.writeVm("hello-v1-1", vm.port, { health: "unhealthy" });
    cluster.writeVm("hello-v1-1", null, { state: "exited", health: "unhealthy" });
    await turn();
    expect(await ask({ port })).toMatchObject({ status: 200, body: "alive" });
  });
});

describe("a request that waits for its connection", () => {
  const app = appName("hello");

  function endpoint(name: string): Endpoint {
    const [vm, host] = [vmName(name), memberName("host-1")];
    return {
      vm,
      app,
      release: 1,
      host,
      address: { host: "127.0.0.1", port: 1 },
      healthy: true,
      hostAway: false,
      isGated: false,
      drainTimeoutMs: 0,
    };
  }

  function tableTo(before: RouteTable, epoch: number, ...endpoints: readonly Endpoint[]): RouteTable {
    return nextTable(before, [appRoute({ epoch, endpoints })]);
  }

  /** One request by a real client through a forwarder whose connections are opened by hand. */
  async function waitingRequest(
    first: RouteTable,
    method: string,
    { retryTimeMs = 5_000, learned = first }: { retryTimeMs?: number; learned?: RouteTable } = {},
  ) {
    const feed = { table: first, nextTable: () => turn() };
    const flights = new Flights({ onDrained: () => undefined, onCut: () => undefined });
    flights.adopt(first);
    const adopt = (table: RouteTable) => {
      feed.table = table;
      flights.adopt(table);
    };
    const dispatches: { endpoint: Endpoint; handler: Dispatcher.DispatchHandler }[] = [];
    let dispatched = Promise.withResolvers<void>();
    const dispatch: Upstreams["dispatch"] = (to, _options, handler) => {
      dispatches.push({ endpoint: to, handler });
      dispatched.resolve();
      return true;
    };
    const upstreams = { dispatch } as unknown as Upstreams;
    const deps = {
      feed,
      flights,
      upstreams,
      gates: {
        learn: async () => {
          adopt(learned);
          return true;
        },
        handIn: async () => false,
      },
      random: () => 0,
      isStale: () => false,
      onRetry: () => undefined,
      onRefused: () => undefined,
      onFailure: () => undefined,
      onTried: () => undefined,
    };
    const forwarder = new Forwarder(
      { namesItself: true, retryTimeMs, gateAwayMs: 5_000 },
      {
        ...deps,
        away: new AwayGates(),
        arm: null,
        held: new HeldRequests({ catchUp: { reach: async () => "unknown" } }),
        demand: { began: () => () => undefined },
        catchUp: { reach: async () => "reached" },
      },
    );
    const server = createServer((request, response) => {
      const exchange = new Exchange({ request, response, waitsFor: null, marks: () => ({}) });
      const target = targetOf(request);
      if (target.ok) void forwarder.forward(exchange, target.value);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const body = method === "POST" ? "body" : undefined;
    const answer = ask({ port, host: "hello", method, ...(body ? { body } : {}) });
    const next = async () => {
      await dispatched.promise;
      dispatched = Promise.withResolvers<void>();
      const dispatch = dispatches.at(-1);
      if (dispatch === undefined) throw new Error("nothing was dispatched");
      return dispatch;
    };
    return { answer, next, adopt, flights, dispatches, close: () => server.close() };
  }

  test.each(["GET", "POST"])(
    "is sent by the table in force then, not by the one that picked it: %s",
    async (method) => {
      const [old, successor] = [endpoint("hello-v1-1"), endpoint("hello-v2-1")];
      const first = tableTo(EMPTY_TABLE, 1, old);
      const { answer, next, adopt, flights, close } = await waitingRequest(first, method);
      const picked = await next();
      expect(picked.endpoint.vm).toBe("hello-v1-1");
      expect(flights.inFlight(old.vm)).toBe(1);
      adopt(tableTo(first, 2, successor));
      const late = new FakeController();
      picked.handler.onRequestStart?.(late, null);
      expect(late.aborted).toBe(true);
      expect(flights.inFlight(old.vm)).toBe(0);
      expect(flights.report(app).lastDispatch).toEqual([]);
      const again = await next();
      expect(again.endpoint.vm).toBe("hello-v2-1");
      const controller = new FakeController();
      again.handler.onRequestStart?.(controller, null);
      again.handler.onResponseStarted?.();
      again.handler.onResponseStart?.(controller, 200, {}, "OK");
      again.handler.onResponseEnd?.(controller, {});
      expect(await answer).toMatchObject({ status: 200, headers: { "grapevine-vm": "hello-v2-1" } });
      close();
    },
  );

  test.each(["GET", "POST"])(
    "leaves for the successor when its endpoint leaves the table, though no connection comes: %s",
    async (method) => {
      const [old, successor] = [endpoint("hello-v1-1"), endpoint("hello-v2-1")];
      const first = tableTo(EMPTY_TABLE, 1, old);
      const { answer, next, adopt, flights, close } = await waitingRequest(first, method);
      await next();
      adopt(tableTo(first, 2, successor));
      expect(flights.inFlight(old.vm)).toBe(0);
      const { endpoint: now, handler } = await next();
      expect(now.vm).toBe("hello-v2-1");
      const controller = new FakeController();
      handler.onRequestStart?.(controller, null);
      // Once it was sent, a table that has its endpoint no more does not call it back.
      adopt(tableTo(tableTo(first, 2, successor), 3, old));
      expect(flights.inFlight(successor.vm)).toBe(1);
      handler.onResponseStart?.(controller, 204, {}, "");
      handler.onResponseEnd?.(controller, {});
      expect(await answer).toMatchObject({ status: 204 });
      close();
    },
  );

  test("is told to its client, not asked again, when its VM took it and did not answer in time", async () => {
    const { answer, next, dispatches, close } = await waitingRequest(
      tableTo(EMPTY_TABLE, 1, endpoint("hello-v1-1")),
      "GET",
    );
    const { handler } = await next();
    const controller = new FakeController();
    handler.onRequestStart?.(controller, null);
    handler.onResponseError?.(controller, new errors.HeadersTimeoutError());
    expect(await answer).toMatchObject({ status: 504 });
    expect(dispatches.length).toBe(1);
    close();
  });

  test("is never started a second time once it may have been sent", async () => {
    const { answer, next, close } = await waitingRequest(
      tableTo(EMPTY_TABLE, 1, endpoint("hello-v1-1")),
      "GET",
    );
    const { handler } = await next();
    const [first, second] = [new FakeController(), new FakeController()];
    handler.onRequestStart?.(first, null);
    handler.onRequestStart?.(second, null);
    expect([first.aborted, second.aborted]).toEqual([false, true]);
    handler.onResponseStart?.(first, 204, {}, "");
    handler.onResponseEnd?.(first, {});
    expect(await answer).toMatchObject({ status: 204 });
    close();
  });

  /** As after a halt of this process, or of the gate, that took all the time for tries: nobody has tried anything meanwhile. */
  describe("and whose time is over by then", () => {
    const none = { retryTimeMs: 0 };

    test.each(["GET", "POST"])("is tried once more when nothing was sent: %s", async (method) => {
      const first = tableTo(EMPTY_TABLE, 1, endpoint("hello-v1-1"));
      const { answer, next, dispatches, close } = await waitingRequest(first, method, none);
      const refused = Object.assign(new Error("connect timed out"), { code: "UND_ERR_CONNECT_TIMEOUT" });
      (await next()).handler.onResponseError?.(new FakeController(), refused);
      answerWith(204, (await next()).handler);
      expect(await answer).toMatchObject({ status: 204 });
      expect(dispatches).toHaveLength(2);
      close();
    });

    test("is told so when that fails as well", async () => {
      const first = tableTo(EMPTY_TABLE, 1, endpoint("hello-v1-1"));
      const { answer, next, dispatches, close } = await waitingRequest(first, "GET", none);
      for (let tries = 0; tries < 2; tries += 1)
        (await next()).handler.onResponseError?.(new FakeController(), new Error("refused"));
      expect(await answer).toMatchObject({ status: 502 });
      expect(dispatches).toHaveLength(2);
      close();
    });

    test("goes on by the newer record with which a gate refused it", async () => {
      const gated = (name: string) => ({ ...endpoint(name), isGated: true });
      const first = tableTo(EMPTY_TABLE, 1, gated("hello-v1-1"));
      const learned = tableTo(first, 2, gated("hello-v2-1"));
      const { answer, next, close } = await waitingRequest(first, "GET", { ...none, learned });
      answerWith(421, (await next()).handler, { "grapevine-gate": gateAnswerHeader("ahead") });
      const again = await next();
      expect(again.endpoint.vm).toBe("hello-v2-1");
      answerWith(204, again.handler);
      expect(await answer).toMatchObject({ status: 204 });
      close();
    });

    test("is tried as one that came just now once the gate that it waited for is back", async () => {
      const back = await cluster.upstream(answering("back"));
      const address = { host: "127.0.0.1", port: back.port };
      const first = tableTo(EMPTY_TABLE, 1, { ...endpoint("hello-v1-1"), isGated: true, address });
      const { answer, next, dispatches, close } = await waitingRequest(first, "GET", none);
      const fail = async (code: string) =>
        (await next()).handler.onResponseError?.(
          new FakeController(),
          Object.assign(new Error(code), { code }),
        );
      await fail("ECONNREFUSED");
      await fail("UND_ERR_CONNECT_TIMEOUT");
      answerWith(204, (await next()).handler);
      expect(await answer).toMatchObject({ status: 204 });
      expect(dispatches).toHaveLength(3);
      close();
    });

    type Headers = Record<string, string>;
    function answerWith(status: number, handler: Dispatcher.DispatchHandler, headers: Headers = {}): void {
      const controller = new FakeController();
      handler.onRequestStart?.(controller, null);
      handler.onResponseStart?.(controller, status, headers, "");
      handler.onResponseEnd?.(controller, {});
    }
  });
});
