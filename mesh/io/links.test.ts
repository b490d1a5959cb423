// Links over real sockets, their tick in the test's hand: how many ticks a frozen peer is kept.

import { setImmediate as nextTurn } from "node:timers/promises";
import { TopicValidatorResult } from "@chainsafe/libp2p-gossipsub";
import { generateKeyPair } from "@libp2p/crypto/keys";
import { multiaddr } from "@multiformats/multiaddr";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { decodeMessage, encodeMessage } from "../core/codec.ts";
import { memberName, type OwnerId, ownerId } from "../core/ids.ts";
import { KEEPALIVE_INTERVAL_MS, PING_INTERVAL_MS, PINGS_MISSED_MAX } from "../limits.ts";
import { TcpForwarder } from "../sim/tcp-forwarder.ts";
import { addressesOf, createNode, type MeshNode } from "./libp2p.ts";
import { Links } from "./links.ts";

const TOPIC = "/grapevine/test/gossip/1";
const KEEPALIVE_TICKS = KEEPALIVE_INTERVAL_MS / PING_INTERVAL_MS;
/** From the tick that finds a doubt to the one that cuts. */
const DOUBT_TICKS = PINGS_MISSED_MAX + 1;

interface Member {
  readonly node: MeshNode;
  readonly links: Links;
  readonly owner: OwnerId;
  readonly counted: string[];
  /** Kinds of the frames that came. */
  readonly heard: string[];
}

async function startMember(name: string): Promise<Member> {
  const node = await createNode({
    privateKey: await generateKeyPair("Ed25519"),
    listen: ["/ip4/127.0.0.1/tcp/0"],
    topic: TOPIC,
    validate: () => TopicValidatorResult.Accept,
  });
  const counted: string[] = [];
  const heard: string[] = [];
  const hello = {
    kind: "hello",
    cluster: "test",
    name: memberName(name),
    role: "host",
    incarnation: 1,
  } as const;
  const links = new Links(
    { cluster: "test", hello: () => hello },
    {
      node,
      logger: pino({ level: "silent" }),
      events: {
        onUp: () => undefined,
        onDown: () => undefined,
        onFrame: (peer, bytes) => {
          const decoded = decodeMessage(bytes);
          const kind = decoded.ok ? decoded.value.kind : "bad";
          heard.push(kind);
          if (kind === "ping") links.send(peer, encodeMessage({ kind: "pong" }));
        },
        onOverflow: () => undefined,
        count: (counter) => counted.push(counter),
      },
    },
  );
  await links.start();
  await node.start();
  node.services.pubsub.subscribe(TOPIC);
  return { node, links, owner: ownerId(node.peerId.toString()), counted, heard };
}

async function untilTrue(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await nextTurn();
}

let left: Member;
let right: Member;
let between: TcpForwarder;

/** Only the tick is ours: sockets and all other timers run. */
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  left = await startMember("left");
  right = await startMember("right");
  between = await TcpForwarder.start(addressesOf(left.node)[0] ?? "");
  await right.node.dial(multiaddr(between.address));
  await untilTrue(() => left.links.isUp(right.owner) && right.links.isUp(left.owner));
  // Without gossipsub's stream the tick would cut it for that.
  await untilTrue(() =>
    [left, right].every(({ node }) => node.services.pubsub.getSubscribers(TOPIC).length > 0),
  );
  tick(1);
});
afterEach(async () => {
  vi.useRealTimers();
  for (const { links, node } of [left, right]) {
    links.stop();
    await node.stop();
  }
  between.stop();
});

/** Returns how many of `max` ticks it took until `left` had counted this. */
function tick(max: number, counter?: string): number {
  for (let ticks = 1; ticks <= max; ticks += 1) {
    vi.advanceTimersByTime(PING_INTERVAL_MS);
    if (counter !== undefined && left.counted.includes(counter)) return ticks;
  }
  return max;
}

test("a quiet link is pinged by the end of the keepalive interval, and stays when that is answered", async () => {
  for (let round = 0; round < 3; round += 1) {
    const before = right.heard.length;
    // One more for the tick that hears the last answer.
    tick(KEEPALIVE_TICKS + 1);
    await untilTrue(() => right.heard.length > before && left.heard.includes("pong"));
    left.heard.length = 0;
  }
  expect(left.counted).not.toContain("peers-silent");
});

test("a frozen peer that nobody talks to is cut after the keepalive and the pings in doubt", () => {
  between.setHole(true);
  const ticks = tick(100, "peers-silent");
  expect(ticks).toBeGreaterThan(DOUBT_TICKS);
  expect(ticks).toBeLessThanOrEqual(KEEPALIVE_TICKS + PINGS_MISSED_MAX);
});

test("a frozen peer that is talked to is cut after the pings in doubt alone", () => {
  between.setHole(true);
  left.links.send(right.owner, encodeMessage({ kind: "tell", topic: "news", body: new Uint8Array(1) }));
  expect(tick(100, "peers-silent")).toBe(DOUBT_TICKS);
});

test("a frozen peer that somebody doubts is cut as soon, one that lives is not", async () => {
  left.links.doubt(right.owner);
  await untilTrue(() => left.heard.includes("pong"));
  expect(tick(KEEPALIVE_TICKS / 2, "peers-silent")).toBe(KEEPALIVE_TICKS / 2);
  expect(left.counted).not.toContain("peers-silent");
  between.setHole(true);
  left.links.doubt(right.owner);
  expect(tick(100, "peers-silent")).toBe(DOUBT_TICKS);
  // Of nobody that we know.
  left.links.doubt(ownerId("stranger"));
});

test("who dials again has lost the link that we still have: it goes, and the next dial finds us free", async () => {
  // A link of a moment may be one of two that dialed each other.
  tick(KEEPALIVE_TICKS / 2);
  await untilTrue(() => left.heard.length === right.heard.length);
  between.setHole(true);
  for (const connection of right.node.getConnections()) connection.abort(new Error("given up"));
  await untilTrue(() => !right.links.isUp(left.owner));
  expect(left.links.isUp(right.owner)).toBe(true);
  await right.node.dial(left.node.getMultiaddrs());
  await untilTrue(() => left.counted.includes("links-down") && right.node.getConnections().length === 0);
  await right.node.dial(left.node.getMultiaddrs());
  await untilTrue(() => right.links.isUp(left.owner) && left.links.isUp(right.owner));
  left.links.send(right.owner, encodeMessage({ kind: "tell", topic: "news", body: new Uint8Array(1) }));
  await untilTrue(() => right.heard.includes("tell"));
});
