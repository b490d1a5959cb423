import { afterEach, expect, test } from "vitest";
import {
  appKey,
  appName,
  encodeAppRecord,
  encodeCommittedApp,
  encodeRecord,
  type Mesh,
  memberName,
  vmKey,
  vmName,
} from "../../mesh/index.ts";
import { MemoryHub } from "../../mesh/sim/memory-mesh.ts";
import { AckState } from "../core/ack-state.ts";
import { appRecord, HOST_1, silent, vmEntry } from "../testing/cluster.ts";
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

test("the VMs of a host that is forgotten leave the table, those of others stay, and come back with it", async () => {
  const hub = new MemoryHub();
  const [voter, other, proxy] = [
    join(hub, HOST_1, "host"),
    join(hub, HOST_2, "host"),
    join(hub, "proxy-1", "proxy"),
  ];
  const names = ["hello-v1-1", "hello-v1-2"].map(vmName);
  const vms = names.map((vm, index) => ({
    vm,
    release: 1,
    host: [HOST_1, HOST_2][index]!,
    phase: "serving" as const,
    requires: null,
  }));
  const record = encodeAppRecord(appRecord({ vms }));
  voter.write(appKey(appName("hello")), encodeCommittedApp(1, record));
  const runs = (mesh: Mesh, at: number) =>
    mesh.write(vmKey(names[at]!), encodeRecord(vmEntry(names[at]!, 20_000 + at, { host: mesh.self.name })));
  runs(voter, 0);
  runs(other, 1);
  feed = new RouteFeed({ voters: [HOST_1] }, { mesh: proxy, acks: new AckState(), logger: silent });
  feed.start();
  await Promise.resolve();
  expect(hosts()).toEqual([HOST_1, HOST_2]);
  await other.stop();
  await voter.forget(other.self.owner);
  await Promise.resolve();
  expect(hosts()).toEqual([HOST_1]);
  runs(join(hub, HOST_2, "host"), 1);
  await Promise.resolve();
  expect(hosts()).toEqual([HOST_1, HOST_2]);
});
