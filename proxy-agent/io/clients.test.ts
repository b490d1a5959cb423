// What clients are promised, through a real proxy: what each VM got is counted at the VM, and said by it.

import type { IncomingHttpHeaders } from "node:http";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Weights } from "../../mesh/index.ts";
import { PROXY_TIMING } from "../proxy.ts";
import { type Answer, ask, sendRaw } from "../testing/client.ts";
import { desiredVm, type RecordOptions, TestCluster, type Upstream } from "../testing/cluster.ts";

let cluster: TestCluster;
beforeEach(() => {
  cluster = new TestCluster();
});
afterEach(async () => {
  await cluster.close();
});

/** Header lines that the VMs got, the latest last. */
const heard: IncomingHttpHeaders[] = [];

/** A VM that says its name, and sets a cookie of its own. */
async function vm(name: string): Promise<Upstream> {
  const upstream = await cluster.upstream((request, response) => {
    heard.push(request.headers);
    response.setHeader("Set-Cookie", ["app=1; Path=/", "theme=dark"]);
    response.end(name);
  });
  cluster.writeVm(name, upstream.port);
  return upstream;
}

const BOTH = [desiredVm("hello-v1-1"), desiredVm("hello-v2-1")];

function split(weight: number): Weights {
  return [
    { release: 1, weight: 100 - weight },
    { release: 2, weight },
  ];
}

async function verified(epoch: number): Promise<void> {
  await cluster.waitForAck((ack) => ack.verified === epoch);
}

function ours(answer: Answer): readonly string[] {
  return (answer.headers["set-cookie"] ?? []).filter((line) => line.startsWith("grapevine."));
}

/** "name=value" of each cookie that is set, as a client shows them. */
function shown(lines: readonly string[]): string {
  return lines
    .filter((line) => !line.includes("Max-Age=0"))
    .map((line) => line.split(";")[0])
    .join("; ");
}

describe("a sticky client", () => {
  const sticky = (options: RecordOptions) => ({ ...options, cutover: "sticky" }) as const;

  test("has its share of the releases by its address, and keeps its place wherever it comes from", async () => {
    const { port } = await cluster.proxy();
    await vm("hello-v1-1");
    await vm("hello-v2-1");
    await verified(cluster.commit(sticky({ vms: BOTH, weights: split(30) })));
    const from = (address: string, headers = {}) =>
      ask({ port, headers: { "x-forwarded-for": address, ...headers } });
    const answers = await Promise.all(
      Array.from({ length: 300 }, (_, index) => from(`10.1.${index}.7, 10.0.0.1`)),
    );
    const ofNew = answers.filter(({ body }) => body === "hello-v2-1");
    expect(Math.abs(ofNew.length - 90)).toBeLessThan(30);
    expect((await from("10.1.5.7")).body).toBe(answers[5]?.body);

    const [one] = ofNew;
    const lines = one === undefined ? [] : ours(one);
    expect(lines).toEqual([
      expect.stringMatching(
        /^grapevine\.hello\.1\.2=0\.\d+; Max-Age=604800; Path=\/; HttpOnly; SameSite=Lax$/,
      ),
    ]);
    expect(one?.headers["set-cookie"]?.slice(0, 2)).toEqual(["app=1; Path=/", "theme=dark"]);
    for (const index of Array.from({ length: 20 }).keys()) {
      const again = await from(`10.2.${index}.9`, { cookie: `a=1; ${shown(lines)}; b=2` });
      expect([again.body, ours(again)]).toEqual(["hello-v2-1", []]);
      expect(heard.at(-1)?.cookie).toBe("a=1; b=2");
    }
  });

  test("is not answered by a record that is older than the one that it has seen the work of", async () => {
    const proxy = await cluster.proxy({ timing: { ...PROXY_TIMING, retryTimeMs: 300 } });
    const old = await vm("hello-v1-1");
    await vm("hello-v2-1");
    // The release of before promised nothing: the cookie counts all the same.
    await verified(cluster.commit({ vms: BOTH.slice(0, 1) }));
    cluster.hub.disconnect(cluster.host, proxy.mesh);
    cluster.commit(sticky({ vms: BOTH.slice(1) }));
    const headers = { cookie: "grapevine.hello.2.2=0.17" };
    expect((await ask({ port: proxy.port })).body).toBe("hello-v1-1");
    const { seen } = old;
    const refused = await ask({ port: proxy.port, headers });
    expect(refused).toMatchObject({ status: 503, headers: { "retry-after": "1" } });
    expect(refused.body).toContain("this proxy could not learn in time what is in force of hello");
    expect(old.seen).toBe(seen);

    const waiting = ask({ port: proxy.port, headers });
    cluster.hub.reconnect(cluster.host, proxy.mesh);
    expect((await waiting).status).toBe(200);
    expect((await waiting).body).toBe("hello-v2-1");
    expect(old.seen).toBe(seen);
  });

  test("has its proxy ask a majority for what nobody told it yet", async () => {
    const { port } = await cluster.proxy();
    const old = await vm("hello-v1-1");
    await vm("hello-v2-1");
    await verified(cluster.commit(sticky({ vms: BOTH.slice(0, 1) })));
    cluster.commitUntold(sticky({ vms: BOTH, weights: split(100) }));
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => ask({ port, headers: { cookie: "grapevine.hello.2.2=0.17" } })),
    );
    expect(new Set(answers.map(({ body }) => body))).toEqual(new Set(["hello-v2-1"]));
    expect(old.seen).toBe(0);
    // Not each on its own.
    expect(cluster.registerReads.length).toBeLessThan(5);
  });

  test("that shows what was never in force is one that shows nothing", async () => {
    const { port } = await cluster.proxy();
    await vm("hello-v1-1");
    await vm("hello-v2-1");
    await verified(cluster.commit(sticky({ vms: BOTH, weights: split(1) })));
    const cookie = "grapevine.hello.900.2=0.9999; grapevine.hello.1.1=0.9000";
    const answer = await ask({ port, headers: { cookie } });
    expect(answer.body).toBe("hello-v1-1");
    expect(ours(answer)).toEqual(["grapevine.hello.900.2=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"]);
  });

  test("takes home what it got by the answer to its WebSocket too, of a release that says so", async () => {
    const { port } = await cluster.proxy();
    const upstream = await vm("hello-v1-1");
    upstream.server.on("upgrade", (_request, socket) => {
      socket.end("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    });
    await verified(cluster.commit(sticky({ vms: BOTH.slice(0, 1) })));
    const upgrade =
      "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==";
    const head = await sendRaw(port, `GET / HTTP/1.1\r\nHost: hello.localhost\r\n${upgrade}\r\n\r\n`);
    expect(head).toMatch(/^HTTP\/1\.1 101 /);
    expect(head).toMatch(/\r\nSet-Cookie: grapevine\.hello\.1\.1=0\.\d+; Max-Age=/);
  });

  test("goes back where a person gave the new release less, and not before", async () => {
    const { port } = await cluster.proxy();
    await vm("hello-v1-1");
    await vm("hello-v2-1");
    await verified(cluster.commit(sticky({ vms: BOTH, weights: split(50) })));
    const headers = { cookie: "grapevine.hello.1.2=0.4000" };
    // Of a deploy that goes on each VM counts alike again, and there is less of the new one for a moment.
    const third = { ...desiredVm("hello-v1-2"), phase: "serving" } as const;
    cluster.writeVm("hello-v1-2", 1);
    await cluster.waitForAck(({ applied }) => applied === 1);
    const alike = cluster.commit(sticky({ vms: [...BOTH, third] }));
    await cluster.waitForAck(({ applied }) => applied === alike);
    expect((await ask({ port, headers })).body).toBe("hello-v2-1");
    await verified(cluster.commit(sticky({ vms: BOTH, weights: split(10), backs: 1 })));
    const back = await ask({ port, headers });
    expect(back.body).toBe("hello-v1-1");
    expect(ours(back)[0]).toContain("grapevine.hello.3.1=1.4000;");
  });
});

describe("a pinned page", () => {
  const NAVIGATION = { "sec-fetch-dest": "document", "sec-fetch-mode": "navigate" };
  const pinned = (options: RecordOptions) => ({ ...options, cutover: "pinned" }) as const;
  const kept = [desiredVm("hello-v1-1", "cordoned"), desiredVm("hello-v2-1")];

  test("has what it loads from its own release, and the next navigation goes to the new one", async () => {
    const { port } = await cluster.proxy();
    const old = await vm("hello-v1-1");
    await vm("hello-v2-1");
    await verified(cluster.commit(pinned({ vms: BOTH.slice(0, 1) })));
    const page = await ask({ port, headers: NAVIGATION });
    expect(ours(page)).toEqual(["grapevine.hello.1.1=page; Max-Age=600; Path=/; HttpOnly; SameSite=Lax"]);
    const cookie = shown(ours(page));
    await verified(cluster.commit(pinned({ vms: kept, keeps: 1 })));
    const asset = await ask({ port, headers: { cookie, "sec-fetch-dest": "script" } });
    expect([asset.body, ours(asset)]).toEqual(["hello-v1-1", []]);
    expect((await ask({ port, headers: { "sec-fetch-dest": "script" } })).body).toBe("hello-v2-1");
    const next = await ask({ port, headers: { cookie, ...NAVIGATION } });
    expect(next.body).toBe("hello-v2-1");
    const { seen } = old;
    expect(shown(ours(next))).toBe("grapevine.hello.2.2=page");
    expect((await ask({ port, headers: { cookie: shown(ours(next)) } })).body).toBe("hello-v2-1");
    // Its time is over: the record keeps it no more.
    await verified(cluster.commit(pinned({ vms: kept })));
    expect((await ask({ port, headers: { cookie } })).body).toBe("hello-v2-1");
    expect(old.seen).toBe(seen);
  });

  test("of the new release has nothing from the old one by a proxy that is behind", async () => {
    const { port } = await cluster.proxy();
    const old = await vm("hello-v1-1");
    await vm("hello-v2-1");
    await verified(cluster.commit(pinned({ vms: BOTH.slice(0, 1) })));
    cluster.commitUntold(pinned({ vms: kept, keeps: 1 }));
    expect((await ask({ port, headers: { cookie: "grapevine.hello.2.2=page" } })).body).toBe("hello-v2-1");
    expect(old.seen).toBe(0);
  });

  test("has the new release rather than nothing where its own cannot be reached", async () => {
    const { port } = await cluster.proxy();
    cluster.writeVm("hello-v1-1", 1);
    await vm("hello-v2-1");
    await verified(cluster.commit(pinned({ vms: kept, keeps: 1 })));
    const cookie = "grapevine.hello.1.1=page";
    expect((await ask({ port, headers: { cookie } })).body).toBe("hello-v2-1");
  });
});
