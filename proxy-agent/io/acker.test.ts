import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  ACK_TOPIC,
  type AppName,
  ackMessageShape,
  appName,
  decodeRecord,
  ownerId,
  vmName,
} from "../../mesh/index.ts";
import type { AppRoute } from "../core/route-table.ts";
import { ACK_MESSAGE_BYTES_MAX, ACKS_PER_MESSAGE_MAX } from "../limits.ts";
import { HOST_1, TestCluster } from "../testing/cluster.ts";
import { Acker, type AckerDeps } from "./acker.ts";

test("tells of many apps that say much in several messages, each within its bounds", () => {
  const messages: Uint8Array[] = [];
  const names = Array.from({ length: 300 }, (_, index) => appName(`app-${index}`));
  // Each of them was deployed often, and requests were cut each time.
  const cut = Array.from({ length: 32 }, (_, index) => ({
    vm: vmName(`${"x".repeat(36)}-v${index}-1`),
    requests: 1,
  }));
  const told = (app: AppName) => ({ app, applied: 1, verified: 1, nack: null, applyMs: 1 });
  const deps = {
    mesh: {
      self: { name: "proxy-1" },
      members: () => [{ name: HOST_1, owner: ownerId("host"), connected: true }],
      onMembers: () => () => undefined,
      tell: (_to: unknown, _topic: unknown, message: Uint8Array) => messages.push(message) > 0,
    },
    directory: {
      list: { voters: [{ owner: ownerId("host") }] },
      onAdopted: () => () => undefined,
    },
    feed: { table: { serial: 1, apps: new Map(names.map((app) => [app, { app } as AppRoute])) } },
    acks: { settle: () => false, ack: (app: AppName, drains: object) => ({ ...told(app), ...drains }) },
    flights: { report: () => ({ inFlight: [], cut, lastDispatch: [] }) },
    verifier: {},
  } as unknown as AckerDeps;
  const acker = new Acker({ settledMs: 60_000 }, deps);
  acker.start();
  acker.stop();
  const decoded = messages.map((message) => decodeRecord(ackMessageShape, message));
  const apps = decoded.flatMap((message) => (message.ok ? message.value.acks.map(({ app }) => app) : []));
  expect(apps).toEqual(names);
  expect(Math.max(...messages.map(({ length }) => length))).toBeLessThanOrEqual(ACK_MESSAGE_BYTES_MAX);
  for (const message of decoded)
    expect(message.ok && message.value.acks.length).toBeLessThanOrEqual(ACKS_PER_MESSAGE_MAX);
});

describe("the voters", () => {
  let cluster: TestCluster;
  beforeEach(() => {
    cluster = new TestCluster({ voters: ["host-1", "host-2"] });
  });
  afterEach(async () => {
    await cluster.close();
  });

  /** Resolves when that host was told of the app at this epoch. */
  function toldAt(name: string, epoch: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    cluster.hostNamed(name).onTell(ACK_TOPIC, (bytes) => {
      const message = decodeRecord(ackMessageShape, bytes);
      if (message.ok && message.value.acks.some(({ applied }) => applied === epoch)) resolve();
    });
    return promise;
  }

  test("are all told, and who becomes one is told of what stands, whatever it was told before", async () => {
    const told = toldAt("host-2", 1);
    const [third, fourth] = [toldAt("host-3", 1), toldAt("host-4", 1)];
    await cluster.proxy();
    cluster.commit({ vms: [] });
    await told;
    let isTold = false;
    void third.then(() => {
      isTold = true;
    });
    cluster.nameVoters(["host-1", "host-4"], 2);
    await fourth;
    expect(isTold).toBe(false);
  });
});
