import { afterEach, describe, expect, test } from "vitest";
import {
  appName,
  type EntryChange,
  encodeRecord,
  type MemberName,
  type Mesh,
  memberName,
  Registers,
  vmKey,
  vmName,
} from "../../mesh/index.ts";
import { MemoryHub } from "../../mesh/sim/memory-mesh.ts";
import { STAND_IN_CLUSTER, StandInVoter } from "../../mesh/sim/stand-in-voter.ts";
import { AckState } from "../core/ack-state.ts";
import { appRecord, desiredVm, HOST_1, silent, vmEntry } from "../testing/cluster.ts";
import { hostProof } from "../testing/host-proof.ts";
import { RouteFeed } from "./route-feed.ts";

const HOST_2 = memberName("host-2");
const meshes: Mesh[] = [];
let feed: RouteFeed;

afterEach(async () => {
  feed.stop();
  await Promise.all(meshes.splice(0).map((mesh) => mesh.stop()));
});

function join(hub: MemoryHub, name: string, role: "host" | "proxy"): Mesh {
  const mesh = hub.join({ name, role });
  mesh.announce();
  meshes.push(mesh);
  return mesh;
}

function hosts(): readonly string[] {
  feed.flush();
  return feed.table.byHostname.get("hello.localhost")?.endpoints.map(({ host }) => host) ?? [];
}

/** One VM each, both routed to. */
function serveOn(voter: Mesh, other: Mesh): void {
  const vms = [desiredVm("hello-v1-1"), { ...desiredVm("hello-v1-2"), host: HOST_2 }];
  const stand = new StandInVoter(voter);
  stand.publishList();
  stand.publish(1, appRecord({ vms }));
  runs(voter, "hello-v1-1");
  runs(other, "hello-v1-2");
}

/** At the proxy on `mesh`, which sees what `seen` shows. */
function startFeed(mesh: Mesh, seen: Mesh = mesh): void {
  const registers = new Registers({ cluster: STAND_IN_CLUSTER }, { mesh, logger: silent });
  feed = new RouteFeed({ mesh: seen, apps: registers.apps, acks: new AckState(), logger: silent });
  registers.start();
  feed.start();
}

function runs(mesh: Mesh, vm: string): void {
  mesh.write(vmKey(vmName(vm)), encodeRecord(vmEntry(vm, 20_000, { host: mesh.self.name })));
}

/** Two hosts that serve one VM each, and a proxy. */
function startServing() {
  const hub = new MemoryHub();
  const [voter, other, proxy] = [
    join(hub, HOST_1, "host"),
    join(hub, HOST_2, "host"),
    join(hub, "proxy-1", "proxy"),
  ];
  serveOn(voter, other);
  return { hub, voter, other, proxy };
}

test("a host whose name went first is forgotten all the same", async () => {
  const { voter, other, proxy } = startServing();
  // As when one answer brings the word and an entry of some other member: that is told first, and the store has it all.
  const listeners: (() => void)[] = [];
  const tellAll = (): void => {
    for (const tell of listeners) tell();
  };
  const mesh = {
    store: proxy.store,
    members: () => proxy.members(),
    named: (name: MemberName) => proxy.named(name),
    onMembers: (listener: () => void) => {
      listeners.push(listener);
      return () => undefined;
    },
    onSettled: (listener: () => void) => proxy.onSettled(listener),
    onChange: (listener: (change: EntryChange) => void) =>
      proxy.onChange((change) => {
        if (change.path === "forgotten") tellAll();
        listener(change);
      }),
  } as unknown as Mesh;
  startFeed(proxy, mesh);
  await Promise.resolve();
  tellAll();
  expect(hosts()).toEqual([HOST_1, HOST_2]);
  await other.stop();
  await voter.forget(other.self.owner);
  await Promise.resolve();
  expect(hosts()).toEqual([HOST_1]);
});

test("the VMs of a host that is forgotten leave the table, those of others stay, and come back with it", async () => {
  const { hub, voter, other, proxy } = startServing();
  startFeed(proxy);
  await Promise.resolve();
  expect(hosts()).toEqual([HOST_1, HOST_2]);
  await other.stop();
  await voter.forget(other.self.owner);
  await Promise.resolve();
  expect(hosts()).toEqual([HOST_1]);
  runs(join(hub, HOST_2, "host"), "hello-v1-2");
  await Promise.resolve();
  expect(hosts()).toEqual([HOST_1, HOST_2]);
});

describe("what a host that the mesh has not told of signed", () => {
  const HELLO = appName("hello");
  const V2 = "hello-v1-2";

  /** A proxy whose record sends requests to a VM of host-2, which it never heard of. */
  async function startBeforeHost2(): Promise<MemoryHub> {
    const hub = new MemoryHub();
    const [voter, proxy] = [join(hub, HOST_1, "host"), join(hub, "proxy-1", "proxy")];
    const stand = new StandInVoter(voter);
    stand.publishList();
    stand.publish(1, appRecord({ vms: [{ ...desiredVm(V2), host: HOST_2 }] }));
    startFeed(proxy);
    await Promise.resolve();
    return hub;
  }

  test("counts until the mesh knows another one by that name, whatever its versions", async () => {
    const hub = await startBeforeHost2();
    feed.takeProven(HELLO, hostProof(V2, 7_901));
    feed.flush();
    expect(feed.table.apps.get(HELLO)?.endpoints).toMatchObject([
      { isGated: true, address: { port: 7_901 } },
    ]);
    runs(join(hub, HOST_2, "host"), V2);
    await Promise.resolve();
    feed.flush();
    expect(feed.table.apps.get(HELLO)?.endpoints).toMatchObject([
      { isGated: false, address: { port: 20_000 } },
    ]);
  });

  test("is not kept unless the app's record needs that host, and of its VMs those only that are the app's", async () => {
    await startBeforeHost2();
    feed.takeProven(HELLO, hostProof("hello-v1-3", 7_901, { name: "host-3" }));
    feed.takeProven(HELLO, hostProof("hello-v1-9", 7_901));
    for (const vm of ["hello-v1-3", "hello-v1-9"]) expect(feed.explain(vmName(vm)).app).toBeNull();
  });
});
