import { cp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { multiaddr } from "@multiformats/multiaddr";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { encodeMessage } from "../core/codec.ts";
import { memberName, ownerId } from "../core/ids.ts";
import { OwnState } from "../core/own-state.ts";
import { Libp2pCluster } from "../sim/libp2p-cluster.ts";
import { meshCompliance } from "../sim/mesh-compliance.ts";
import { standInCrypto } from "../sim/stand-in-crypto.ts";
import { TcpForwarder } from "../sim/tcp-forwarder.ts";
import { until, untilFull, untilSeen } from "../sim/until.ts";
import { frame } from "./frames.ts";
import { gossipTopic } from "./gossip.ts";
import { exchangeHello, HELLO_PROTOCOL } from "./hello.ts";
import { openIdentity } from "./identity.ts";
import { createNode, type MeshNode } from "./libp2p.ts";
import type { RunningMesh } from "./mesh-options.ts";

meshCompliance("libp2p mesh", () => Libp2pCluster.create());

let cluster: Libp2pCluster;
const strangers: MeshNode[] = [];

beforeEach(async () => {
  cluster = await Libp2pCluster.create();
});

afterEach(async () => {
  for (const stranger of strangers.splice(0)) await stranger.stop();
  await cluster.dispose();
});

/** A libp2p node of the cluster's topic that never says hello. */
async function startStranger(): Promise<MeshNode> {
  const { privateKey } = await openIdentity(cluster.stateDir("stranger"), Date.now());
  const listen = ["/ip4/127.0.0.1/tcp/0"];
  const node = await createNode({
    privateKey,
    listen,
    topic: gossipTopic("test"),
    validate: () => "accept" as never,
  });
  await node.start();
  strangers.push(node);
  return node;
}

async function startTwo(): Promise<readonly [RunningMesh, RunningMesh]> {
  const meshes = [await cluster.join("host-1", "host"), await cluster.join("host-2", "host")] as const;
  for (const mesh of meshes) mesh.announce();
  await untilFull(meshes);
  return meshes;
}

/** They are the only members, and a write of one reaches the other. */
async function expectWorks(left: RunningMesh, right: RunningMesh): Promise<void> {
  right.write("vm/after", new Uint8Array([1]));
  await untilSeen(left, () => left.store.get(right.self.owner, "vm/after") !== undefined);
  await untilFull([left, right]);
  expect(left.members()).toHaveLength(2);
}

function everyTurn(listener: () => void): () => void {
  const timer = setInterval(listener, 5);
  return () => clearInterval(timer);
}

function untilCounted(mesh: RunningMesh, counter: string): Promise<void> {
  return until(() => (mesh.metrics()[counter] ?? 0) > 0, everyTurn);
}

test("three members that know one seed all connect to each other", async () => {
  const seed = await cluster.join("host-1", "host");
  const seeds = seed.listenAddresses;
  const meshes = [
    seed,
    await cluster.join("host-2", "host", { seeds }),
    await cluster.join("host-3", "host", { seeds }),
  ];
  for (const mesh of meshes) mesh.announce();
  await untilFull(meshes);
  expect(meshes[2]?.members().every((member) => member.addresses.length > 0)).toBe(true);
});

/** A port that was free a moment ago: only of a fixed one can a member's seeds name itself. */
async function freeAddress(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `/ip4/127.0.0.1/tcp/${port}`;
}

test("members that all restart at once, at other addresses but for the one seed, all meet again", async () => {
  const seed = await freeAddress();
  const names = ["host-1", "host-2", "host-3", "host-4"];
  const startAll = async (): Promise<readonly RunningMesh[]> => {
    const meshes = await Promise.all(
      names.map((name, at) =>
        cluster.join(name, "host", { seeds: [seed], ...(at === 0 && { listen: [seed] }) }),
      ),
    );
    for (const mesh of meshes) mesh.announce();
    await untilFull(meshes);
    return meshes;
  };
  const before = await startAll();
  await Promise.all(before.map((mesh) => mesh.stop()));
  const after = await startAll();
  const addressesIn = (meshes: readonly RunningMesh[]) =>
    meshes.map(({ listenAddresses }) => listenAddresses[0]);
  expect(addressesIn(after)[0]).toBe(addressesIn(before)[0]);
  for (const mesh of after) {
    await untilSeen(mesh, () =>
      mesh.members().every(({ addresses }) => addressesIn(after).includes(addresses[0])),
    );
    await untilSeen(mesh, () => mesh.members().every(({ liveness }) => liveness.state === "alive"));
  }
});

test("a seed that is the member itself is recognised, and never dialed again", async () => {
  const address = await freeAddress();
  const recognised = Promise.withResolvers<void>();
  const write = (line: string): void => {
    if (JSON.parse(line).msg === "target is this member") recognised.resolve();
  };
  const logger = pino({ level: "debug" }, { write });
  const alone = await cluster.join("host-1", "host", { listen: [address], seeds: [address], logger });
  await recognised.promise;
  expect(alone.metrics()).toMatchObject({ "dials-failed": 1 });
});

/** Port 9, discard: nobody listens there. */
const UNREACHABLE = "/ip4/127.0.0.1/tcp/9";

test("a link that is cut comes back, with what was written meanwhile", async () => {
  const left = await cluster.join("host-1", "host");
  const forwarder = await TcpForwarder.start(left.listenAddresses[0] ?? "");
  const right = await cluster.join("host-2", "host", { seeds: [forwarder.address] });
  for (const mesh of [left, right]) mesh.announce();
  await untilFull([left, right]);
  forwarder.cut();
  await untilCounted(right, "links-down");
  left.write("vm/a", new Uint8Array([1]));
  await untilSeen(right, () => right.store.get(left.self.owner, "vm/a") !== undefined);
  await untilFull([left, right]);
  await right.sync(left.self.owner, new AbortController().signal);
  forwarder.stop();
});

test("what was written while the network was a black hole is there when it is none any more", async () => {
  // No way past the forwarder: the first to notice would be met again before the other has.
  const left = await cluster.join("host-1", "host", { advertise: [UNREACHABLE] });
  const forwarder = await TcpForwarder.start(left.listenAddresses[0] ?? "");
  const nowhere = { seeds: [forwarder.address], listen: ["/ip4/127.0.0.1/tcp/0"], advertise: [UNREACHABLE] };
  const right = await cluster.join("host-2", "host", nowhere);
  for (const mesh of [left, right]) mesh.announce();
  await untilFull([left, right]);
  forwarder.setHole(true);
  left.write("vm/a", new Uint8Array([1]));
  await Promise.all([left, right].map((mesh) => untilCounted(mesh, "peers-silent")));
  await untilCounted(right, "dials-failed");
  forwarder.setHole(false);
  await untilSeen(right, () => right.store.get(left.self.owner, "vm/a") !== undefined);
  await untilFull([left, right]);
  forwarder.stop();
}, 20_000);

test("a start that fails leaves nothing running", async () => {
  const running = await cluster.join("host-1", "host");
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  try {
    await expect(cluster.join("host-2", "host", { listen: running.listenAddresses })).rejects.toThrow();
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});

test("a cluster id that no hello can carry is refused at the start, not by every peer", async () => {
  await expect(cluster.join("host-1", "host", { cluster: "c".repeat(65) })).rejects.toThrow(/bad cluster id/);
});

test("a member of another cluster is refused, counted, and named in the log once", async () => {
  const lines: string[] = [];
  const logger = pino({ level: "warn" }, { write: (line: string) => lines.push(line) });
  const ours = await cluster.join("host-1", "host", { logger });
  const foreign = await cluster.join("host-2", "host", { cluster: "other" });
  for (const mesh of [ours, foreign]) mesh.announce();
  await Promise.all([
    untilCounted(ours, "foreign-cluster-refused"),
    untilCounted(foreign, "foreign-cluster-refused"),
  ]);
  expect(ours.members()).toHaveLength(1);
  expect(foreign.members()).toHaveLength(1);
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { name: "host-2", theirs: "other", ours: "test" },
  ]);
});

test("a lost incarnation file is made good by the clock or by what peers hold", async () => {
  const [left, right] = await startTwo();
  await right.stop();
  // As if the clock had been far ahead at its last start, and the disk then forgot.
  const ahead = left.store.head(right.self.owner)?.incarnation ?? 0;
  await writeFile(join(cluster.stateDir("host-2"), "mesh-incarnation"), "garbage");
  const again = await cluster.join("host-2", "host");
  again.write("vm/a", new Uint8Array([1]));
  again.announce();
  await untilSeen(left, () => left.store.get(again.self.owner, "vm/a") !== undefined);
  expect(left.store.head(again.self.owner)?.incarnation).toBeGreaterThan(ahead);
});

test("who lost its incarnation and has no clock hears first what it wrote, and no observer sees it go back", async () => {
  const [left, right] = await startTwo();
  right.write("vm/kept", new Uint8Array([1]));
  await untilSeen(left, () => left.store.get(right.self.owner, "vm/kept") !== undefined);
  const before = left.store.head(right.self.owner)?.incarnation ?? 0;
  await right.stop();
  await rm(join(cluster.stateDir("host-2"), "mesh-incarnation"));
  await rm(join(cluster.stateDir("host-2"), "mesh-snapshot.sqlite"));
  const fresh = await cluster.join("host-3", "host");
  fresh.announce();
  const told: (number | undefined)[] = [];
  for (const observer of [left, fresh])
    observer.onChange(({ key, value }) => key === "vm/kept" && told.push(value?.[0]));
  const again = await cluster.join("host-2", "host", { nowMs: () => 0 });
  again.write("vm/kept", new Uint8Array([2]));
  again.announce();
  for (const observer of [left, fresh])
    await untilSeen(observer, () => observer.store.get(again.self.owner, "vm/kept")?.value?.[0] === 2);
  // Nobody saw a deletion, nor the first of this life without what the one before had.
  expect(told).not.toContain(undefined);
  for (const observer of [left, fresh])
    expect(observer.store.head(again.self.owner)?.incarnation).toBeGreaterThan(before);
});

test("of two processes with one key the younger is named and stops publishing, and the elder is heard", async () => {
  const lines: string[] = [];
  const logger = pino({ level: "error" }, { write: (line: string) => lines.push(line) });
  const relay = await cluster.join("relay", "host");
  const elder = await cluster.join("host-1", "host");
  for (const mesh of [relay, elder]) mesh.announce();
  elder.write("vm/elder", new Uint8Array([1]));
  await untilSeen(relay, () => relay.store.get(elder.self.owner, "vm/elder") !== undefined);
  await cp(cluster.stateDir("host-1"), cluster.stateDir("host-2"), { recursive: true });
  const younger = await cluster.join("host-2", "host", { logger });
  expect(younger.self.owner).toBe(elder.self.owner);
  younger.write("vm/younger", new Uint8Array([1]));
  younger.announce();
  await untilCounted(younger, "twins");
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    {
      name: "host-1",
      addresses: elder.listenAddresses,
      msg: expect.stringMatching(/this one is the younger/),
    },
  ]);
  younger.write("vm/younger", new Uint8Array([2]));
  elder.write("vm/elder", new Uint8Array([2]));
  await untilSeen(relay, () => relay.store.get(elder.self.owner, "vm/elder")?.value?.[0] === 2);
  expect(relay.store.list("vm/").map((entry) => entry.key)).toEqual(["vm/elder"]);
});

const GARBAGE: readonly Uint8Array[] = [
  new Uint8Array([255, 255, 255, 255]),
  frame(new Uint8Array(300).fill(0xc1)),
  frame(new Uint8Array([1, 5, 0xdd, 255, 255, 255, 255])),
  new Uint8Array(5_000),
];

function untilClosed(target: EventTarget & { readonly status: string }): Promise<void> {
  return until(
    () => target.status !== "open",
    (listener) => {
      target.addEventListener("close", listener);
      return () => target.removeEventListener("close", listener);
    },
  );
}

test("bad bytes in place of a hello or a call end the stream and harm nobody", async () => {
  const [left, right] = await startTwo();
  const stranger = await startStranger();
  for (const protocol of [HELLO_PROTOCOL, "/grapevine/test/call/1"]) {
    for (const bytes of GARBAGE) {
      const connection = await stranger.dial(multiaddr(left.listenAddresses[0] ?? ""));
      const stream = await connection.newStream(protocol);
      // A call without a link is refused before a byte of it is read.
      if (stream.status === "open") stream.send(bytes);
      await untilClosed(stream);
      await connection.close();
    }
  }
  await expectWorks(left, right);
});

test("a member that sends bad frames is counted or cut off, and harms nobody", async () => {
  const [left, right] = await startTwo();
  const stranger = await startStranger();
  await stranger.handle("/grapevine/test/frames/1", () => undefined);
  for (const bytes of GARBAGE) {
    const connection = await stranger.dial(multiaddr(left.listenAddresses[0] ?? ""));
    const hello = {
      kind: "hello",
      cluster: "test",
      name: memberName("bad"),
      role: "host",
      incarnation: 1,
    } as const;
    const greeted = await exchangeHello(await connection.newStream(HELLO_PROTOCOL), hello);
    expect(greeted.ok).toBe(true);
    const stream = await connection.newStream("/grapevine/test/frames/1");
    stream.send(bytes);
    // A length that cannot be true: only a cut ends what nobody can read.
    stream.send(new Uint8Array([255, 255, 255, 255]));
    await untilClosed(connection);
  }
  expect(left.metrics()["refused-frame-bytes"]).toBeGreaterThan(0);
  await expectWorks(left, right);
});

test("gossip of a stranger is neither applied nor handed on", async () => {
  const [left, right] = await startTwo();
  const stranger = await startStranger();
  const topic = gossipTopic("test");
  const { pubsub } = stranger.services;
  pubsub.subscribe(topic);
  await stranger.dial(multiaddr(left.listenAddresses[0] ?? ""));
  await until(
    () => pubsub.getSubscribers(topic).length > 0,
    (listener) => {
      pubsub.addEventListener("subscription-change", listener);
      return () => pubsub.removeEventListener("subscription-change", listener);
    },
  );
  const owner = ownerId(stranger.peerId.toString());
  const own = new OwnState(owner, { incarnation: 1, startId: 1 }, standInCrypto(owner));
  own.write("vm/evil", new Uint8Array([1]));
  own.announce();
  const delta = own.takeGossip();
  if (delta === undefined) throw new Error("not announced");
  await pubsub.publish(topic, encodeMessage({ kind: "gossip", delta }));
  await untilCounted(left, "refused-gossip-stranger");
  await expectWorks(left, right);
  expect([left, right].map((mesh) => mesh.store.head(owner))).toEqual([undefined, undefined]);
});

test("a member that restarts with dead seeds finds the others by what it knew, stale until it has met them", async () => {
  const [left, right] = await startTwo();
  left.write("vm/a", new Uint8Array([1]));
  await untilSeen(right, () => right.store.get(left.self.owner, "vm/a") !== undefined);
  await right.stop();
  // At another address than before: nobody could find it.
  const again = await cluster.join("host-2", "host", { seeds: [UNREACHABLE] });
  expect(again.store.get(left.self.owner, "vm/a")?.value).toEqual(new Uint8Array([1]));
  expect(again.store.isStale(left.self.owner)).toBe(true);
  again.announce();
  await untilFull([left, again]);
  await again.sync(left.self.owner, new AbortController().signal);
  expect(again.store.isStale(left.self.owner)).toBe(false);
  expect(again.metrics()["snapshot-restored"]).toBe(1);
});

test("a write is measured until the others have it, with one question for all and none where nothing is written", async () => {
  const [writer, proxy] = [await cluster.join("host-1", "host"), await cluster.join("proxy-1", "proxy")];
  proxy.write("proxy/proxy-1", new Uint8Array([1]));
  for (const mesh of [writer, proxy]) mesh.announce();
  await untilFull([writer, proxy]);
  await untilSeen(writer, () => writer.store.get(proxy.self.owner, "proxy/proxy-1") !== undefined);
  const done = () => writer.convergence().proxies.seconds.counts.reduce((sum, count) => sum + count, 0);
  for (const value of [1, 2, 3]) {
    writer.write("vm/a", new Uint8Array([value]));
    writer.write("custom/a", new Uint8Array([value]));
    writer.write("vm/a", new Uint8Array([value]));
    await until(() => done() === value, everyTurn);
  }
  const { proxies, stores } = writer.convergence();
  expect(proxies).toMatchObject({ writes: 3, lost: { deadline: 0, "new-start": 0, bound: 0 } });
  expect(stores.writes).toBe(3);
  expect(proxies.seconds.sum).toBeGreaterThan(0);
  expect(stores.seconds.sum).toBeLessThanOrEqual(proxies.seconds.sum);
  expect(proxy.metrics()["follow-reports"]).toBe(3);
  expect(writer.metrics()["follow-reports"]).toBeUndefined();
});

test("a member whose snapshot is of another cluster starts cold", async () => {
  const [left, right] = await startTwo();
  await right.stop();
  const foreign = await cluster.join("host-2", "host", { cluster: "other", seeds: [] });
  expect(foreign.store.head(left.self.owner)).toBeUndefined();
  expect(foreign.metrics()["snapshot-set-aside"]).toBe(1);
});
