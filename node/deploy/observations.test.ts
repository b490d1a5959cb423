import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type DesiredVm, encodeRecord, hostKey, memberName, vmKey, vmName } from "../../mesh/index.ts";
import { Observations } from "./observations.ts";
import { Cluster, settled } from "./testing/cluster.ts";
import { entryOf } from "./testing/fake-host.ts";

const wanted: DesiredVm = {
  vm: vmName("hello-v1-1"),
  release: 1,
  host: memberName("host-2"),
  phase: "serving",
  requires: null,
};

let cluster: Cluster;
let observations: Observations;
beforeEach(async () => {
  cluster = new Cluster();
  await cluster.start();
  observations = new Observations(cluster.voter, Date.now);
  observations.refresh();
});
afterEach(() => cluster.stop());

/** `host-N` writes `value` under the key of the VM. */
async function write(host: number, value: Uint8Array | null): Promise<void> {
  cluster.hosts[host - 1]!.mesh.write(vmKey(wanted.vm), value);
  await settled();
}

function names(): readonly string[] {
  return [...observations.vms()].map(({ entry }) => `${entry.vm}@${entry.host}`);
}

const ownerOf = (index: number) => cluster.hosts[index]!.mesh.self.owner;

describe("Observations", () => {
  it("learns of a VM from its host, and of its end", async () => {
    await write(2, encodeRecord(entryOf(wanted, "hello")));
    expect(observations.refresh()).toMatchObject([{ entry: { vm: "hello-v1-1" }, observed: {} }]);
    expect(observations.refresh()).toEqual([]);
    await write(2, null);
    expect(observations.refresh()).toMatchObject([{ entry: { vm: "hello-v1-1" }, observed: null }]);
    expect(names()).toEqual([]);
  });

  it("does not believe an entry that names another host, another VM, or is no VM's", async () => {
    await write(3, encodeRecord(entryOf(wanted, "hello")));
    await write(2, encodeRecord(entryOf({ ...wanted, vm: vmName("other-v1-1") }, "other")));
    await write(1, new Uint8Array([0xc1, 1, 2]));
    cluster.proxies[0]!.mesh.write(vmKey(wanted.vm), encodeRecord(entryOf(wanted, "hello")));
    await settled();
    expect(observations.refresh()).toEqual([]);
    expect(names()).toEqual([]);
  });

  it("takes an entry of a host that it cannot read for no word that nothing runs there", async () => {
    const { mesh } = cluster.hosts[1]!;
    mesh.write(hostKey(memberName("host-2")), encodeRecord({ format: 1, laterThanWe: true }));
    await settled();
    const facts = observations.hosts(new Map());
    expect(facts.find(({ host }) => host === "host-2")).toMatchObject({ alone: [] });
    expect(facts.find(({ host }) => host === "host-3")).not.toHaveProperty("alone");
  });

  it("names the hosts that are open with their load, and the proxies with whether they registered", async () => {
    cluster.hub.disconnect(cluster.voter, cluster.hosts[2]!.mesh);
    cluster.proxies[1]!.leave();
    await settled();
    observations.refresh();
    const startOf = (index: number) => {
      const { incarnation = 0, startId = 0 } = cluster.voter.store.head(ownerOf(index)) ?? {};
      return { incarnation, startId };
    };
    const said = { region: "test", cordoned: false, draining: false };
    expect(observations.hosts(new Map([[memberName("host-2"), 4]]))).toEqual([
      { host: "host-1", open: true, connected: true, start: startOf(0), vms: 0, ...said },
      { host: "host-2", open: true, connected: true, start: startOf(1), vms: 4, ...said },
      { host: "host-3", open: false, connected: false, start: startOf(2), vms: 0, ...said },
    ]);
    expect(observations.proxies()).toEqual([
      { proxy: "proxy-1", registered: true, connected: true },
      { proxy: "proxy-2", registered: false, connected: true },
    ]);
  });
});
