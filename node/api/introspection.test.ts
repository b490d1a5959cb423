import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type AppRecord,
  appKey,
  appName,
  encodeRecord,
  type Mesh,
  memberName,
  PROXY_STATUS_SERVICE,
  type ProxyStatusAnswer,
  vmName,
} from "../../mesh/index.ts";
import { MemoryHub } from "../../mesh/sim/memory-mesh.ts";
import { StandInVoter } from "../../mesh/sim/stand-in-voter.ts";
import type { SyncView } from "../introspection/sync-view.ts";
import type { WhyView } from "../introspection/why-view.ts";
import { createApi } from "./api.ts";
import { ApiHarness, errorOf, get } from "./testing/api-harness.ts";
import { fakeAgent, fakeVmEntry, writeVm } from "./testing/fake-agent.ts";

const VM = vmName("hello-v1-1");
const HELLO = appName("hello");

let harness: ApiHarness;
let hub: MemoryHub;
let proxy: Mesh;
let status: ProxyStatusAnswer;
let { voterMesh, otherMesh, voterApi, otherApi } = {} as ApiHarness;

beforeEach(async () => {
  hub = new MemoryHub();
  harness = new ApiHarness(hub);
  ({ voterMesh, otherMesh, voterApi, otherApi } = harness);
  proxy = hub.join({ name: "proxy-1", role: "proxy" });
  status = {
    format: 1,
    serving: true,
    stale: false,
    serial: 3,
    vm: { isRouted: true, app: HELLO, epoch: 5, why: "" },
  };
  proxy.handle(PROXY_STATUS_SERVICE, async function* () {
    yield encodeRecord(status);
  });
  proxy.announce();
  await settled();
});
afterEach(async () => {
  await proxy.stop();
  await harness.stop();
});

/** Deliveries are a few microtasks away. */
async function settled(): Promise<void> {
  for (let at = 0; at < 20; at += 1) await Promise.resolve();
}

function commit(
  epoch: number,
  phase: "starting" | "opening" | "serving" = "serving",
  vms: readonly string[] = [VM],
  by: Mesh = voterMesh,
  more: Pick<AppRecord, "hold"> = {},
): void {
  const record: AppRecord = {
    format: 1,
    app: HELLO,
    deleted: false,
    hostnames: ["hello.localhost"],
    releases: [],
    current: 1,
    lastRelease: 1,
    vms: vms.map((vm) => ({ vm: vmName(vm), release: 1, host: memberName("host-2"), phase, requires: null })),
    rollout: null,
    ...more,
  };
  by.write(appKey(HELLO), new StandInVoter(by).certified(epoch, record));
}

async function sync(): Promise<SyncView> {
  return (await get(otherApi, "/v1/sync")).json as SyncView;
}

async function why(): Promise<WhyView> {
  return (await get(otherApi, `/v1/why/${VM}`)).json as WhyView;
}

describe("GET /v1/sync", () => {
  it("says that all hold the same, hosts first, with what each says of itself", async () => {
    const view = await sync();
    expect(view).toMatchObject({ askedBy: "host-2", synced: true });
    expect(view.members).toMatchObject([
      {
        name: "host-1",
        role: "host",
        synced: true,
        behind: [],
        reason: null,
        entries: 6,
        stale: [],
        lagMs: 0,
      },
      { name: "host-2", role: "host", self: true, synced: true },
      { name: "proxy-1", role: "proxy", synced: true, proxy: { serving: true, stale: false, serial: 3 } },
    ]);
  });

  it("names who lacks what of whom, and who does not answer", async () => {
    const late = hub.join({ name: "host-3", role: "host" });
    late.announce();
    await settled();
    // host-2 alone hears of it still.
    for (const mesh of [voterMesh, proxy]) hub.disconnect(late, mesh);
    hub.disconnect(otherMesh, voterMesh);
    hub.disconnect(otherMesh, proxy);
    late.write("vm/a", new Uint8Array([1]));
    await settled();
    hub.disconnect(otherMesh, late);
    const view = (await get(voterApi, "/v1/sync")).json as SyncView;
    const rows = view.members.map(({ name, synced, reason, behind }) => [
      name,
      synced,
      reason,
      behind.length,
    ]);
    expect(rows).toEqual([
      ["host-1", true, null, 0],
      ["host-2", null, "not connected", 0],
      ["host-3", null, "not connected", 0],
      ["proxy-1", true, null, 0],
    ]);
    expect(view.synced).toBe(false);
    await late.stop();
  });

  it("says that a proxy serves stale routes", async () => {
    status = { ...status, stale: true };
    expect((await sync()).members.at(-1)?.proxy).toMatchObject({ stale: true });
  });
});

describe("GET /v1/diff", () => {
  it("says that two hold the same", async () => {
    expect(await get(voterApi, "/v1/diff?a=host-2&b=proxy-1")).toMatchObject({
      status: 200,
      json: {
        a: "host-2",
        b: "proxy-1",
        equal: true,
        owners: 3,
        count: 0,
        differences: [],
        truncated: false,
      },
    });
  });

  it("shows each key that one lacks, with what the other has", async () => {
    hub.disconnect(otherMesh, voterMesh);
    hub.disconnect(otherMesh, proxy);
    writeVm(otherMesh, fakeVmEntry(VM, memberName("host-2")));
    // Asked of itself and of one that it reaches for questions alone.
    const call = otherMesh.call.bind(otherMesh);
    Object.assign(otherMesh, {
      members: () => voterMesh.members().map((member) => ({ ...member, connected: true })),
      call: (...args: Parameters<Mesh["call"]>) =>
        args[0] === otherMesh.self.owner ? call(...args) : voterMesh.call(...args),
    });
    expect((await get(otherApi, "/v1/diff?a=host-2&b=proxy-1")).json).toMatchObject({
      equal: false,
      count: 1,
      differences: [
        {
          key: `vm/${VM}`,
          name: "host-2",
          a: { deleted: false, value: "running, healthy, 127.0.0.1:20000" },
          b: null,
          newer: "a",
        },
      ],
    });
  });

  it("names who does not answer, and says what to ask for", async () => {
    hub.disconnect(voterMesh, proxy);
    expect(await errorOf(voterApi.request("/v1/diff?a=host-2&b=proxy-1"))).toBe(
      "503 unavailable: proxy-1 does not answer: not connected (suspect: not connected)",
    );
    expect(await errorOf(voterApi.request("/v1/diff?a=host-2&b=host-9"))).toBe(
      "404 not-found: there is no member host-9; there are host-1, host-2, proxy-1",
    );
    expect(await errorOf(voterApi.request("/v1/diff?a=host-2"))).toContain("400 invalid");
  });
});

describe("GET /v1/why/VM", () => {
  beforeEach(async () => {
    writeVm(otherMesh, fakeVmEntry(VM, memberName("host-2")));
    commit(5);
    await settled();
  });

  it("says who wrote it and how it came everywhere, and that all is well", async () => {
    const view = await why();
    expect(view).toMatchObject({
      vm: VM,
      app: "hello",
      commits: [{ epoch: 5, by: "host-1", inForce: true }],
      record: { epoch: 5, wanted: { host: "host-2", phase: "serving", release: 1 } },
      said: [{ by: "host-2", believed: true, deleted: false, entry: { state: "running", healthyAtMs: 2 } }],
      conclusions: [],
    });
    const held = view.members.map(({ name, holds, routing }) => [
      name,
      holds.map(({ key, path, from, current }) => [key, path, from, current]),
      routing?.isRouted ?? null,
    ]);
    expect(held).toEqual([
      [
        "host-2",
        [
          [`vm/${VM}`, "own", null, true],
          ["app/hello", "gossip", "host-1", true],
        ],
        null,
      ],
      [
        "host-1",
        [
          [`vm/${VM}`, "gossip", "host-2", true],
          ["app/hello", "own", null, true],
        ],
        null,
      ],
      [
        "proxy-1",
        [
          [`vm/${VM}`, "gossip", "host-2", true],
          ["app/hello", "gossip", "host-1", true],
        ],
        true,
      ],
    ]);
  });

  it("says why a proxy does not route to it, and that its table is behind", async () => {
    status = { ...status, vm: { isRouted: false, app: HELLO, epoch: 4, why: "the record does not name it" } };
    expect((await why()).conclusions).toEqual([
      "proxy-1 does not route to it: the record does not name it; its table is of epoch 4, the newest is 5",
    ]);
  });

  it("says that a proxy does not answer, and of what is not known then", async () => {
    hub.disconnect(otherMesh, proxy);
    expect((await why()).conclusions).toEqual([
      expect.stringMatching(
        /^proxy-1 does not answer: not connected; whether it routes to it is not known \(suspect/,
      ),
    ]);
  });

  it.each<readonly [what: string, change: () => void, conclusion: RegExp]>([
    [
      "it opens",
      () => commit(6, "opening"),
      /wants it to start: what is held is sent there once host-2 says/,
    ],
    ["it starts", () => commit(6, "starting"), /wants it starting: proxies route to VMs that serve alone/],
    [
      "a person holds its requests",
      () => commit(6, "serving", [VM], voterMesh, { hold: { by: "person", atMs: 1 } }),
      /^hello's requests are held since somebody said `grapevine hold hello`: `grapevine release hello` sends/,
    ],
    [
      "its app's requests wait for a VM",
      () => commit(6, "starting", [VM], voterMesh, { hold: { by: "idle", atMs: 1 } }),
      /^hello's requests are held until a VM of it serves/,
    ],
    ["no record names it", () => commit(6, "serving", []), /does not name hello-v1-1: its host stops it/],
    [
      "it is not healthy",
      () =>
        writeVm(otherMesh, {
          ...fakeVmEntry(VM, memberName("host-2")),
          health: "unhealthy",
          reason: "GET / 500",
        }),
      /^host-2 says that it is unhealthy: GET \/ 500/,
    ],
    ["its host deleted it", () => otherMesh.write(`vm/${VM}`, null), /^host-2 has deleted it/],
  ])("says that %s", async (_what, change, conclusion) => {
    change();
    await settled();
    expect((await why()).conclusions.some((line) => conclusion.test(line))).toBe(true);
  });

  it("shows what another host says of it, and does not believe it", async () => {
    writeVm(voterMesh, fakeVmEntry(VM, memberName("host-1")));
    await settled();
    expect((await why()).said.map(({ by, believed }) => [by, believed]).sort()).toEqual([
      ["host-1", false],
      ["host-2", true],
    ]);
  });

  it("says of a commit that no majority of the voters signed that it does not count, whatever its epoch", async () => {
    commit(5, "serving", [], otherMesh);
    await settled();
    const { commits, record } = await why();
    expect(commits.map(({ by, inForce }) => [by, inForce]).sort()).toEqual([
      ["host-1", true],
      ["host-2", false],
    ]);
    expect(record?.wanted).not.toBeNull();
  });

  it("finds what the asked agent has not heard of yet", async () => {
    // Cut off from entries, not from questions: it holds nothing.
    const late = new MemoryHub().join({ name: "host-3", role: "host" });
    Object.assign(late, {
      members: () => voterMesh.members().map((member) => ({ ...member, self: false, connected: true })),
      call: (...args: Parameters<Mesh["call"]>) => voterMesh.call(...args),
    });
    const view = (await get(createApi(fakeAgent(late, null).deps), `/v1/why/${VM}`)).json as WhyView;
    expect(view).toMatchObject({
      app: "hello",
      record: { epoch: 5 },
      said: [{ by: "host-2", believed: true }],
    });
    await late.stop();
  });

  it("says that nobody has heard of it", async () => {
    expect(await errorOf(otherApi.request("/v1/why/nope"))).toMatch(
      /^404 not-found: no member has heard of a VM nope/,
    );
    expect(await errorOf(otherApi.request("/v1/why/No%20Name"))).toContain("400 invalid");
  });
});

describe("GET /v1/debug", () => {
  it("tells of every member what it says of itself", async () => {
    const text = async (path: string) => (await voterApi.request(`/v1/debug/members/${path}`)).text();
    expect(JSON.parse(await text("host-2/about"))).toMatchObject({
      pid: process.pid,
      node: process.version,
      config: { name: "host-2" },
      self: { host: "host-2" },
    });
    expect(await text("host-2/metrics")).toContain("grapevine_test_total 1");
    expect(await text("host-1/log")).toContain("agent is ready");
  });

  it("says who does not answer, and which parts there are", async () => {
    hub.disconnect(voterMesh, otherMesh);
    expect(await errorOf(voterApi.request("/v1/debug/members/host-2/log"))).toBe(
      "503 unavailable: host-2 does not answer: not connected",
    );
    expect(await errorOf(voterApi.request("/v1/debug/members/host-1/keys"))).toBe(
      "400 invalid: the parts are about, metrics, log; found keys",
    );
    expect(await errorOf(voterApi.request("/v1/debug/members/host-9/log"))).toContain("404 not-found");
  });

  it("lists all entries, deletions too, with values of our own kinds alone", async () => {
    writeVm(otherMesh, fakeVmEntry(VM, memberName("host-2")));
    otherMesh.write("custom/secret", new TextEncoder().encode("hunter2"));
    otherMesh.write("custom/gone", new Uint8Array(3));
    otherMesh.write("custom/gone", null);
    await settled();
    const lines = (await (await voterApi.request("/v1/debug/entries")).text()).trim().split("\n");
    const rows = lines.map((line) => JSON.parse(line) as { key: string; bytes: number; value: unknown });
    expect(lines.join("")).not.toContain("hunter2");
    expect(rows.find(({ key }) => key === "custom/secret")).toMatchObject({
      name: "host-2",
      bytes: 7,
      deleted: false,
    });
    expect(rows.find(({ key }) => key === "custom/gone")).toMatchObject({ bytes: null, deleted: true });
    expect(rows.find(({ key }) => key === `vm/${VM}`)?.value).toMatchObject({
      state: "running",
      lastLines: [expect.any(String)],
    });
  });
});
