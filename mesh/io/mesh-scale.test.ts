// Many members at once, and one that takes nothing: what libp2p's defaults get wrong behind one address.

import { afterEach, beforeEach, expect, test } from "vitest";
import { ENTRY_VALUE_BYTES_MAX } from "../limits.ts";
import { Libp2pCluster } from "../sim/libp2p-cluster.ts";
import { TcpForwarder } from "../sim/tcp-forwarder.ts";
import { untilFull, untilSeen } from "../sim/until.ts";

/** More than libp2p takes from one address in a second (5), and more than gossipsub bears on one before it prunes (10). */
const MEMBERS = 16;
/** Of 64 KiB each: together more than gossipsub keeps for one peer (4 MiB) and any kernel between. */
const LARGE_WRITES = 400;

/** What is counted when a peer's queue is full or its link ends. */
const GIVEN_UP = ["gossip-streams-lost", "links-down", "peers-silent"];

/** Looks once a turn of the event loop. */
async function untilTrue(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise<void>((resolve) => setImmediate(resolve));
}

let cluster: Libp2pCluster;
beforeEach(async () => {
  cluster = await Libp2pCluster.create();
});
afterEach(() => cluster.dispose());

test("16 members behind one address that start at once all meet, and hear each other", async () => {
  const first = await cluster.join("host-0", "host");
  const others = Array.from({ length: MEMBERS - 1 }, (_, at) => cluster.join(`host-${at + 1}`, "host"));
  const members = [first, ...(await Promise.all(others))];
  for (const mesh of members) mesh.announce();
  await untilFull(members);
  for (const writer of members) writer.write("vm/a", new Uint8Array([1]));
  for (const reader of members) {
    for (const writer of members)
      await untilSeen(reader, () => reader.store.get(writer.self.owner, "vm/a") !== undefined);
  }
});

test("a peer that takes nothing is given up before it costs more than its bound, and has all of it afterwards", async () => {
  const left = await cluster.join("host-1", "host");
  const slow = await TcpForwarder.start(left.listenAddresses[0] ?? "");
  const nowhere = { seeds: [slow.address], advertise: ["/ip4/127.0.0.1/tcp/1"] };
  const right = await cluster.join("host-2", "host", nowhere);
  for (const mesh of [left, right]) mesh.announce();
  await untilFull([left, right]);
  slow.pause();
  for (let at = 0; at < LARGE_WRITES; at += 1) {
    const published = left.metrics()["gossip-published"] ?? 0;
    left.write(`custom/${at}`, new Uint8Array(ENTRY_VALUE_BYTES_MAX).fill(at));
    // Each in a message of its own, as fast as they go out.
    await untilTrue(() => (left.metrics()["gossip-published"] ?? 0) > published);
  }
  await untilTrue(() => GIVEN_UP.some((counter) => (left.metrics()[counter] ?? 0) > 0));
  slow.resume();
  await untilSeen(right, () => right.store.list("custom/").length === LARGE_WRITES);
  await right.sync(left.self.owner, new AbortController().signal);
  expect(right.store.head(left.self.owner)).toEqual(left.store.head(left.self.owner));
  slow.stop();
});
