// What a hold does to requests that were sent to a VM by its name, or nearly: who waits for a connection, and who comes late.

import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { connect, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type AppRecord, appName, HOLD_DEFAULTS, memberName, vmName } from "../../mesh/index.ts";
import { type AppRoute, EMPTY_TABLE, type Endpoint, NOT_HELD, nextTable } from "../core/route-table.ts";
import { appRoute } from "../testing/app-route.ts";
import { ask } from "../testing/client.ts";
import { appRecord, desiredVm, type RecordOptions, TestCluster, type TestProxy } from "../testing/cluster.ts";
import { applied, CLOSED, HELD, SERVING, V1, waiting } from "../testing/holding.ts";
import { Flights } from "./flights.ts";

describe("a request that was picked for a VM which stays", () => {
  const app = appName("hello");
  const endpoint: Endpoint = {
    vm: vmName("hello-v1-1"),
    app,
    release: 1,
    host: memberName("host-1"),
    address: { host: "127.0.0.1", port: 1 },
    healthy: true,
    hostAway: false,
    isGated: false,
    drainTimeoutMs: 0,
  };

  function route(epoch: number, isHeld: boolean): AppRoute {
    const hold = isHeld ? ({ ...NOT_HELD, by: "person" } as const) : NOT_HELD;
    const bare = appRoute({ epoch, endpoints: [endpoint], hold });
    return { ...bare, preview: { ...bare, hostnames: ["preview.hello"], hold: NOT_HELD } };
  }

  /** Who was called back, and who was told to come again, when the app was held. */
  function heldWhile({ isDispatched, isPreview }: { isDispatched: boolean; isPreview: boolean }) {
    const open = route(1, false);
    const before = nextTable(EMPTY_TABLE, [open]);
    const flights = new Flights({ onDrained: () => undefined, onCut: () => undefined });
    flights.adopt(before);
    const flight = flights.claim(endpoint, (isPreview ? open.preview : null) ?? open);
    const told: string[] = [];
    flight.onRecall = () => told.push("recall");
    flight.onRestart = () => told.push("restart");
    if (isDispatched) flight.dispatched();
    flights.adopt(nextTable(before, [route(2, true)]));
    return { told, isRouted: flights.isRouted(flight) };
  }

  test("and waits for a connection is called back by a hold, and is not sent", () => {
    expect(heldWhile({ isDispatched: false, isPreview: false })).toEqual({
      told: ["recall"],
      isRouted: false,
    });
  });

  test("and was sent runs on", () => {
    expect(heldWhile({ isDispatched: true, isPreview: false }).told).toEqual([]);
  });

  test("by a preview name is none of the hold's", () => {
    expect(heldWhile({ isDispatched: false, isPreview: true })).toEqual({ told: [], isRouted: true });
  });
});

describe("through a real proxy", () => {
  let cluster: TestCluster;
  beforeEach(() => {
    cluster = new TestCluster();
  });
  afterEach(async () => {
    await cluster.close();
  });

  const commit = (options: RecordOptions) => applied(cluster, options);
  const upgrade = { host: "hello.localhost", connection: "Upgrade", upgrade: "websocket" };

  test("a preview name answers while requests by the app's own names wait", async () => {
    const [old, next] = await Promise.all(
      ["old", "new"].map((text) => cluster.upstream((_request, response) => response.end(text))),
    );
    const proxy = await cluster.serve({ [V1]: old?.port ?? 0 });
    cluster.writeVm("hello-v2-1", next?.port ?? 0);
    const options = {
      vms: [desiredVm(V1), desiredVm("hello-v2-1", "standby")],
      heldBy: "person",
      bakes: 1,
    } as const;
    const epoch = cluster.commitUntold(options);
    cluster.voter.publish(epoch, bluegreen(appRecord(options)));
    await cluster.waitForAck((ack) => ack.applied === epoch);
    const held = ask({ port: proxy.port });
    await waiting(proxy, 1);
    expect((await ask({ port: proxy.port, host: "preview.hello.localhost" })).body).toBe("new");
    await commit(SERVING);
    expect((await held).body).toBe("old");
  });

  function bluegreen(record: AppRecord): AppRecord {
    const releases = record.releases.map((release) => {
      const deploy = { ...release.spec.deploy, strategy: "bluegreen" } as const;
      return { ...release, spec: { ...release.spec, hostnames: record.hostnames, deploy } };
    });
    return { ...record, releases };
  }

  /** A client whose handshake the proxy keeps. */
  async function heldUpgrade(proxy: TestProxy): Promise<Socket> {
    const client = connect(proxy.port, "127.0.0.1");
    client.write(
      "GET / HTTP/1.1\r\nHost: hello.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    await waiting(proxy, 1);
    return client;
  }

  test("a client that leaves while its upgrade is held makes room", async () => {
    const vm = await cluster.upstream(() => undefined);
    const proxy = await cluster.serve({ [V1]: vm.port });
    await commit(HELD);
    const client = await heldUpgrade(proxy);
    client.destroy();
    await waiting(proxy, 0);
  });

  test("what a client sends behind its upgrade while that is held reaches the VM", async () => {
    const got = Promise.withResolvers<string>();
    const vm = await cluster.upstream(() => undefined);
    vm.server.on("upgrade", (_request, socket: Socket) => {
      socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
      socket.once("data", (chunk: Buffer) => got.resolve(chunk.toString())).once("end", () => socket.end());
    });
    const proxy = await cluster.serve({ [V1]: vm.port });
    await commit(HELD);
    const client = await heldUpgrade(proxy);
    client.write("early");
    await commit(SERVING);
    expect(await got.promise).toBe("early");
    client.destroy();
  });

  test("a WebSocket that is granted after its VM left by a hold is told so at once", async () => {
    const vm = await cluster.upstream(() => undefined);
    const asked = Promise.withResolvers<Socket>();
    vm.server.on("upgrade", (_request, socket: Socket) => asked.resolve(socket));
    const proxy = await cluster.serve({ [V1]: vm.port });
    const request = httpRequest({ port: proxy.port, host: "127.0.0.1", headers: upgrade }).end();
    const socket = await asked.promise;
    await commit(CLOSED);
    socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    const [, client, head] = (await once(request, "upgrade")) as [IncomingMessage, Socket, Buffer];
    const frame = head.length > 0 ? head : ((await once(client, "data")) as [Buffer])[0];
    expect(frame.toString("hex")).toBe("880203f4");
    client.destroy();
  });

  test("one that breaks, and is too old by then, is told so at once and not with the next that is", async () => {
    const begun = Promise.withResolvers<{ readonly end: () => void }>();
    const vm = await cluster.upstream((_request, response) => {
      begun.resolve({ end: () => response.destroy() });
    });
    const proxy = await cluster.serve({ [V1]: vm.port });
    const order: string[] = [];
    const old = ask({ port: proxy.port }).finally(() => order.push("old"));
    const { end } = await begun.promise;
    await commit({ ...HELD, hold: { ...HOLD_DEFAULTS, maxAgeMs: 1_000 } });
    expect((await ask({ port: proxy.port })).status).toBe(503);
    const fresh = ask({ port: proxy.port }).finally(() => order.push("fresh"));
    await waiting(proxy, 1);
    end();
    expect([(await old).status, (await fresh).status]).toEqual([503, 503]);
    expect(order).toEqual(["old", "fresh"]);
  });
});
