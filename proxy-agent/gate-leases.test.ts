// A gate before VMs that have a lease: it looks at that before each request, and no proxy sends there past it.

import { afterEach, beforeEach, expect, test } from "vitest";
import { appName, uptimeMs, type VmPlace, vmName } from "../mesh/index.ts";
import { STAND_IN_CLUSTER } from "../mesh/sim/stand-in-voter.ts";
import { type Answer, ask } from "./testing/client.ts";
import { answering, desiredVm, TestCluster } from "./testing/cluster.ts";
import { TestGate } from "./testing/gate.ts";
import { metric } from "./testing/holding.ts";

const V1 = "hello-v1-1";
const V2 = "hello-v1-2";
const LEASE_MS = 600_000;

let cluster: TestCluster;
let gate: TestGate;
let epoch: number;
let isBlind: boolean;
beforeEach(() => {
  isBlind = false;
  cluster = new TestCluster();
  gate = new TestGate(cluster, {
    uptimeMs: () => {
      if (isBlind) throw new Error("EMFILE: too many open files");
      return uptimeMs();
    },
  });
});
afterEach(async () => {
  await cluster.close();
  await gate.close();
});

/** Of one that listens there, until then. */
function placeOf(name: string, port: number, untilMs?: number): VmPlace {
  const place = { vm: vmName(name), app: appName("hello"), host: "127.0.0.1", port };
  return untilMs === undefined ? place : { ...place, untilMs };
}

function place(...vms: readonly VmPlace[]): void {
  gate.tell({ format: 1, kind: "vms", vms });
}

/** Resolves to the VM's port once the gate is open for it. */
async function open(untilMs: number): Promise<number> {
  const { port } = await cluster.upstream(answering("hi"));
  await gate.start();
  place(placeOf(V1, port, untilMs));
  epoch = gate.commit({ vms: [desiredVm(V1)] });
  gate.open();
  await gate.waitForStanding((standing) => standing.epoch === epoch);
  return port;
}

/** As a proxy sends it there. */
function asked(): Promise<Answer> {
  return ask({ port: gate.port, headers: { "grapevine-gate": `1 pass hello ${V1} ${epoch}` } });
}

/** What was told before is in force. */
async function heard(): Promise<void> {
  const next = gate.commit({ vms: [desiredVm(V1)] });
  await gate.waitForStanding((standing) => standing.epoch === next);
  epoch = next;
}

test("a request passes until the lease is over, and again once it is renewed", async () => {
  const port = await open(uptimeMs() + LEASE_MS);
  expect((await asked()).body).toBe("hi");
  place(placeOf(V1, port, uptimeMs() - 1));
  await heard();
  expect((await asked()).headers["grapevine-gate"]).toContain("shut");
  place(placeOf(V1, port, uptimeMs() + LEASE_MS));
  await heard();
  expect((await asked()).body).toBe("hi");
});

test("no request passes while the clock cannot be read, and the gate lives", async () => {
  await open(uptimeMs() + LEASE_MS);
  isBlind = true;
  expect((await asked()).headers["grapevine-gate"]).toContain("shut");
  isBlind = false;
  expect((await asked()).body).toBe("hi");
});

test("a gate that starts anew counts on no lease before its agent told it", async () => {
  const port = await open(uptimeMs() + LEASE_MS);
  await gate.stop();
  await gate.start();
  expect((await asked()).body).not.toBe("hi");
  place(placeOf(V1, port, uptimeMs() + LEASE_MS));
  await heard();
  expect((await asked()).body).toBe("hi");
});

test("a proxy of its host sends to what has no lease itself, and to what has one through the gate", async () => {
  const [leased, free] = [
    await cluster.upstream(answering("leased")),
    await cluster.upstream(answering("free")),
  ];
  gate.announce(await gate.start());
  place(placeOf(V1, leased.port, uptimeMs() + LEASE_MS), placeOf(V2, free.port));
  const proxy = await cluster.proxy({ gate: { cluster: STAND_IN_CLUSTER, socket: gate.armSocket } });
  cluster.writeVm(V1, leased.port);
  cluster.writeVm(V2, free.port);
  const both = gate.commit({ vms: [desiredVm(V1), desiredVm(V2)] });
  gate.open();
  await cluster.waitForAck(({ verified }) => verified === both);
  await metric(proxy, "grapevine_proxy_armed_vms", (vms) => vms === 1);
  const bodies = new Set<string>();
  for (let tries = 0; bodies.size < 2; tries += 1) {
    expect(tries).toBeLessThan(100);
    bodies.add((await ask({ port: proxy.port })).body);
  }
  expect([...bodies].sort()).toEqual(["free", "leased"]);
});
