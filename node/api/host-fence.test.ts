import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { appName, type Mesh, vmName } from "../../mesh/index.ts";
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
  writeVm(lost, fakeVmEntry(VM, lost.self.name));
  new StandInVoter(harness.voterMesh).publish(1, {
    format: 1,
    app: appName("hello"),
    deleted: false,
    hostnames: ["hello.localhost"],
    releases: [],
    current: null,
    lastRelease: 1,
    vms: [{ vm: VM, release: 1, host: lost.self.name, phase: "serving", requires: null }],
    rollout: null,
  });
  await Promise.resolve();
});
afterEach(() => harness.stop());

const VM = vmName("hello-v1-1");

const fence = (api: Api, host: string) => api.request(`/v1/hosts/${host}/fence`, { method: "POST" });

describe("a host that is fenced", () => {
  it("is so by the start that was lost, and the answer names the apps and VMs, whichever agent is asked", async () => {
    const { incarnation = 0, startId = 0 } = harness.voterMesh.store.head(lost.self.owner) ?? {};
    const start = { incarnation, startId };
    await lost.stop();
    for (const api of [harness.voterApi, harness.otherApi]) {
      const response = await fence(api, "host-3");
      const vms = [{ vm: VM, app: "hello" }];
      expect([response.status, await response.json()]).toEqual([
        200,
        { host: "host-3", apps: ["hello"], vms, silent: [] },
      ]);
    }
    const request = { host: "host-3", start, isUnsafe: false };
    expect(harness.deploys.fenced).toEqual([request, request]);
  });

  it("must not be one that anybody hears, whose gate can be asked", async () => {
    hub.disconnect(harness.voterMesh, lost);
    expect(await errorOf(fence(harness.voterApi, "host-3"))).toBe(
      "409 alive: host-3 is alive: host-2 hears it, so its gate can be asked. Drain it: `grapevine host drain host-3`. Fence it once it is off; what `--force-unsafe` would do, and risk, `grapevine host fence --help` says",
    );
    expect(harness.deploys.fenced).toEqual([]);
    await lost.stop();
  });

  it.each([
    ["host-9", "404 not-found: there is no host host-9; there are host-1, host-2, host-3"],
    ["no%20name", "400 invalid: this is no host's name"],
    ["proxy-1", "400 invalid: proxy-1 is a proxy: `grapevine proxy exclude proxy-1` says that it is off"],
  ])("must be one that can be: %s", async (host, expected) => {
    const proxy = hub.join({ name: "proxy-1", role: "proxy" });
    proxy.announce();
    await Promise.resolve();
    await proxy.stop();
    expect(await errorOf(fence(harness.voterApi, host))).toBe(expected);
    expect(harness.deploys.fenced).toEqual([]);
    await lost.stop();
  });

  it("is not fenced any more once it was forgotten: nothing waits for its gate", async () => {
    await lost.stop();
    await harness.voterApi.request("/v1/hosts/host-3/forget", { method: "POST" });
    expect(await errorOf(fence(harness.voterApi, "host-3"))).toBe(
      "400 invalid: host-3 was forgotten: no step waits for its gate any more",
    );
  });
});
