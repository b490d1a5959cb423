import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { appName, type Mesh, memberName } from "../../mesh/index.ts";
import { MemoryHub } from "../../mesh/sim/memory-mesh.ts";
import { StandInVoter } from "../../mesh/sim/stand-in-voter.ts";
import { type Api, ApiHarness, errorOf } from "./testing/api-harness.ts";
import { fakeVmEntry, writeVm } from "./testing/fake-agent.ts";

let harness: ApiHarness;
let hub: MemoryHub;
let lost: Mesh;

beforeEach(async () => {
  hub = new MemoryHub();
  harness = new ApiHarness(hub);
  lost = hub.join({ name: "host-3", role: "host" });
  lost.announce();
  await Promise.resolve();
});
afterEach(() => harness.stop());

const forget = (api: Api, host: string, query = "") =>
  api.request(`/v1/hosts/${host}/forget${query}`, { method: "POST" });

/** The voter's record names that VM. */
function commitVm(vm: ReturnType<typeof fakeVmEntry>["vm"]): void {
  const record = {
    format: 1,
    app: appName("hello"),
    deleted: false,
    hostnames: ["hello.localhost"],
    releases: [],
    current: null,
    lastRelease: 1,
    vms: [{ vm, release: 1, host: lost.self.name, phase: "serving", requires: null }],
    rollout: null,
  } as const;
  new StandInVoter(harness.voterMesh).publish(1, record);
}

describe("a host that is forgotten", () => {
  it("is gone from every member, and the answer names its VMs that records still name", async () => {
    const vm = fakeVmEntry("hello-v1-1", lost.self.name);
    writeVm(lost, vm);
    writeVm(lost, fakeVmEntry("hello-v1-2", lost.self.name));
    commitVm(vm.vm);
    await Promise.resolve();
    await lost.stop();
    const response = await forget(harness.otherApi, "host-3");
    expect([response.status, await response.json()]).toEqual([
      200,
      {
        host: "host-3",
        forgotten: "now",
        vms: [{ vm: "hello-v1-1", app: "hello" }],
        silent: [],
        acks: [{ name: "host-1", role: "host", ms: expect.any(Number) }],
        missing: [],
      },
    ]);
    for (const mesh of [harness.voterMesh, harness.otherMesh])
      expect(mesh.named(memberName("host-3"))).toEqual([]);
  });

  it("is forgotten already when that is asked again, by whichever agent", async () => {
    await lost.stop();
    await forget(harness.otherApi, "host-3");
    const again = await forget(harness.voterApi, "host-3");
    expect([again.status, await again.json()]).toEqual([
      200,
      {
        host: "host-3",
        forgotten: "before",
        vms: [],
        silent: [],
        acks: [{ name: "host-2", role: "host", ms: expect.any(Number) }],
        missing: [],
      },
    ]);
  });

  it("must not be one that anybody hears: each is named", async () => {
    expect(await errorOf(forget(harness.voterApi, "host-3"))).toBe(
      "409 alive: host-3 is alive: host-1, host-2 hear it. Stop its agent first",
    );
    hub.disconnect(harness.voterMesh, lost);
    expect(await errorOf(forget(harness.voterApi, "host-3"))).toBe(
      "409 alive: host-3 is alive: host-2 hears it. Stop its agent first",
    );
    expect(harness.voterMesh.named(memberName("host-3"))).toHaveLength(1);
    await lost.stop();
  });

  it.each([
    ["host-9", "404 not-found: there is no host host-9; `grapevine members` lists them"],
    ["no%20name", "400 invalid: this is no host's name"],
    [
      "host-1",
      "400 invalid: host-1 is a voter: `grapevine voters remove host-1` first, or bring it back from its disk",
    ],
    [
      "proxy-1",
      "400 invalid: proxy-1 is a proxy, and deploys wait for every registered proxy: start it again, or another under its name",
    ],
    [
      "host-3?timeout=5",
      "400 invalid: timeout must be a duration from 1ms to 10m with its unit, for example 5s",
    ],
  ])("must be one that can be: %s", async (host, expected) => {
    const proxy = hub.join({ name: "proxy-1", role: "proxy" });
    proxy.announce();
    await Promise.resolve();
    await proxy.stop();
    const [name, query] = host.split("?");
    expect(await errorOf(forget(harness.otherApi, name ?? "", query ? `?${query}` : ""))).toBe(expected);
    await lost.stop();
  });

  it("is forgotten all the same when a registered proxy is silent, which is named", async () => {
    const proxy = hub.join({ name: "proxy-1", role: "proxy" });
    proxy.write("proxy/proxy-1", new Uint8Array([1]));
    proxy.announce();
    await Promise.resolve();
    await proxy.stop();
    await lost.stop();
    const response = await forget(harness.otherApi, "host-3", "?timeout=20ms");
    expect([response.status, await response.json()]).toMatchObject([
      504,
      {
        forgotten: "now",
        missing: [{ name: "proxy-1", role: "proxy", why: "not connected" }],
        error: {
          code: "timed-out",
          message: "host-3 is forgotten, and it stands; not heard within 20ms by proxy-1 (not connected)",
        },
      },
    ]);
  });
});
