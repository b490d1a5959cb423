import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { appName, type MemberName, type Mesh, memberName, vmName } from "../../mesh/index.ts";
import { MemoryHub } from "../../mesh/sim/memory-mesh.ts";
import { StandInVoter } from "../../mesh/sim/stand-in-voter.ts";
import type { DrainView } from "../deploy/drain-view.ts";
import { ApiHarness, errorOf, get, nextLine } from "./testing/api-harness.ts";

let hub: MemoryHub;
let harness: ApiHarness;
let third: Mesh;

beforeEach(async () => {
  hub = new MemoryHub();
  harness = new ApiHarness(hub);
  third = hub.join({ name: "host-3", role: "host" });
  third.announce();
  await Promise.resolve();
});
afterEach(() => harness.stop());

function drained(host: MemberName, apps: DrainView["apps"]): DrainView {
  return { host, use: "draining", connected: true, empty: apps.length === 0, apps };
}

const ONE: DrainView["apps"] = [
  {
    app: appName("hello"),
    vms: [vmName("hello-v1-1")],
    state: "due",
    why: "waits for its turn",
    advice: null,
    rollout: null,
    inMs: null,
    view: null,
  },
];

const post = (path: string) => harness.voterApi.request(path, { method: "POST" });

describe("host drain", () => {
  it("is written down by the host itself, whoever is asked", async () => {
    const response = await post("/v1/hosts/host-2/drain");
    expect(await response.json()).toEqual({ host: "host-2", cordoned: true, draining: true });
    const cordoned = await post("/v1/hosts/host-2/cordon");
    expect(await cordoned.json()).toEqual({ host: "host-2", cordoned: true, draining: false });
    expect(harness.other.uses).toEqual(["draining", "cordoned"]);
    expect(harness.voter.uses).toEqual([]);
  });

  it("is refused of a host that cannot be asked, with what to do", async () => {
    expect(await errorOf(post("/v1/hosts/host-9/drain"))).toBe(
      "404 not-found: there is no host host-9; `grapevine members` lists them",
    );
    hub.disconnect(harness.voterMesh, third);
    expect(await errorOf(post("/v1/hosts/host-3/drain"))).toBe(
      "503 unavailable: host-3 is not connected: bring it back, then drain it",
    );
    new StandInVoter(harness.voterMesh).publish(1, {
      format: 1,
      app: appName("hello"),
      deleted: false,
      hostnames: [],
      releases: [],
      current: null,
      lastRelease: 1,
      vms: [],
      fenced: [{ host: third.self.name, start: { incarnation: 1, startId: 1 }, atMs: 0 }],
      rollout: null,
    });
    await Promise.resolve();
    expect(await errorOf(post("/v1/hosts/host-3/drain"))).toBe(
      "400 invalid: host-3 is off, as a person said (`grapevine host fence`): its VMs are replaced without it, and nothing new is placed there anyway",
    );
  });

  it("is told by a voter, once and as it goes, to whoever is asked", async () => {
    const host = memberName("host-2");
    harness.deploys.drains.show(drained(host, ONE));
    const path = "/v1/hosts/host-2/drain";
    for (const api of [harness.voterApi, harness.otherApi]) {
      expect(await get(api, path)).toMatchObject({
        status: 200,
        json: { empty: false, apps: [{ app: "hello" }] },
      });
      const response = await api.request(`${path}/watch`);
      const reader = response.body!.getReader();
      expect(await nextLine(reader)).toMatchObject({ host: "host-2", empty: false });
      harness.deploys.drains.show(drained(host, []));
      expect(await nextLine(reader)).toMatchObject({ empty: true });
      await reader.cancel();
      harness.deploys.drains.show(drained(host, ONE));
    }
    expect(await get(harness.voterApi, "/v1/hosts/host-9/drain")).toMatchObject({ status: 404 });
    harness.deploys.drains.lack = "no majority of the voters answers, host-2 missing";
    expect(await errorOf(harness.voterApi.request(path))).toBe(
      "503 unavailable: no majority of the voters answers, host-2 missing",
    );
  });
});
