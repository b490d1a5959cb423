// Members are asked who they are by one who is none: over real sockets.

import { type AddressInfo, createServer } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Libp2pCluster } from "../sim/libp2p-cluster.ts";
import { greet } from "./greet.ts";

let cluster: Libp2pCluster;
beforeEach(async () => {
  cluster = await Libp2pCluster.create();
});
afterEach(() => cluster.dispose());

test("greet() learns key, name, role and cluster of each that answers, and no member is met by it", async () => {
  const host = await cluster.join("host-1", "host");
  const proxy = await cluster.join("proxy-1", "proxy");
  const addresses = [...host.listenAddresses, ...proxy.listenAddresses];
  const greetings = await greet(addresses, AbortSignal.timeout(30_000));
  expect(greetings).toMatchObject([
    { ok: true, value: { owner: host.self.owner, name: "host-1", role: "host", cluster: "test" } },
    { ok: true, value: { owner: proxy.self.owner, name: "proxy-1", role: "proxy", cluster: "test" } },
  ]);
  expect(host.members().map(({ name }) => name)).toEqual(["host-1"]);
  expect(await greet([], AbortSignal.timeout(1))).toEqual([]);
});

test("what is no member is a failure with the reason, and one that says nothing is given up when the signal says so", async () => {
  const mute = createServer();
  mute.listen(0, "127.0.0.1");
  const asked = new AbortController();
  mute.once("connection", () => asked.abort());
  await new Promise((resolve) => mute.once("listening", resolve));
  const { port } = mute.address() as AddressInfo;
  const [silent] = await greet([`/ip4/127.0.0.1/tcp/${port}`], asked.signal);
  expect(silent).toEqual({ ok: false, error: "it did not say who it is in time" });
  await new Promise((resolve) => mute.close(resolve));
  const [gone] = await greet([`/ip4/127.0.0.1/tcp/${port}`], AbortSignal.timeout(30_000));
  expect(gone).toMatchObject({ ok: false, error: expect.stringContaining("ECONNREFUSED") });
});
