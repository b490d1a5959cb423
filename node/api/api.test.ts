import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { encodeRecord, memberName, vmName } from "../../mesh/index.ts";
import { MemoryHub } from "../../mesh/sim/memory-mesh.ts";
import { ContentStore } from "../releases/content-store.ts";
import { createApi } from "./api.ts";
import { ApiHarness, errorOf, get, nextLine } from "./testing/api-harness.ts";
import { fakeView, fakeVmEntry, hashOf, writeVm } from "./testing/fake-agent.ts";

let { voterMesh, otherMesh, voter, other, voterApi, otherApi, deploys } = {} as ApiHarness;
let harness: ApiHarness;
let hub: MemoryHub;
let folder: string;

beforeEach(() => {
  hub = new MemoryHub();
  harness = new ApiHarness(hub);
  ({ voterMesh, otherMesh, voter, other, voterApi, otherApi, deploys } = harness);
  folder = mkdtempSync(path.join(tmpdir(), "grapevine-api-"));
});
afterEach(async () => {
  await harness.stop();
  rmSync(folder, { recursive: true });
});

describe("what every agent answers itself", () => {
  it("lists the members as they say of themselves", async () => {
    const members = (await get(otherApi, "/v1/members")).json as { name: string }[];
    expect(members).toMatchObject([
      {
        name: "host-1",
        role: "host",
        api: "http://127.0.0.1/host-1",
        pid: process.pid,
        state: "alive",
        voter: true,
      },
      { name: "host-2", role: "host", api: "http://127.0.0.1/host-2", state: "alive", voter: false },
    ]);
  });

  it("shows a member that was lost as unreachable, and keeps what it said", async () => {
    hub.disconnect(voterMesh, otherMesh);
    expect((await get(otherApi, "/v1/members")).json).toMatchObject([
      { name: "host-1", api: "http://127.0.0.1/host-1", state: "suspect" },
      { name: "host-2", state: "alive" },
    ]);
  });

  it("lists VMs as their own hosts say, and believes nobody else", async () => {
    writeVm(otherMesh, fakeVmEntry("hello-v1-1", memberName("host-2")));
    writeVm(otherMesh, fakeVmEntry("hello-v1-2", memberName("host-1")));
    await Promise.resolve();
    const vms = (await get(voterApi, "/v1/vms")).json;
    expect(vms).toMatchObject([
      { vm: "hello-v1-1", host: "host-2", address: "127.0.0.1:20000", phase: null },
    ]);
  });

  it("names a proxy that does not answer with its routes", async () => {
    const proxy = hub.join({ name: "proxy-1", role: "proxy" });
    const silent = hub.join({ name: "proxy-2", role: "proxy" });
    proxy.handle("routes", async function* () {
      yield new TextEncoder().encode('{"serial":3,');
      yield new TextEncoder().encode('"routes":[],"draining":[]}');
    });
    proxy.announce();
    silent.announce();
    await Promise.resolve();
    hub.disconnect(voterMesh, silent);
    expect((await get(voterApi, "/v1/routes")).json).toEqual([
      { proxy: "proxy-1", state: "answered", reason: null, routes: { serial: 3, routes: [], draining: [] } },
      { proxy: "proxy-2", state: "unreachable", reason: "not connected", routes: null },
    ]);
    await Promise.all([proxy.stop(), silent.stop()]);
  });

  it("exports metrics, those of others included", async () => {
    const text = await (await voterApi.request("/metrics")).text();
    expect(text).toContain('grapevine_members{role="host",state="alive"} 2');
    expect(text).toMatch(/^process_resident_memory_bytes \d+$/m);
    expect(text).toMatch(/^grapevine_test_total 1$/m);
    expect(text).toMatch(/^grapevine_watchers\{of="changes"\} 0$/m);
    expect(text).toMatch(/^grapevine_queries_total\{outcome="rows"\} 0\n/m);
  });

  it("is healthy, and says who it is", async () => {
    expect((await get(voterApi, "/v1/health")).json).toMatchObject({ status: "ok", name: "host-1" });
  });

  it("says in JSON that there is no such address", async () => {
    expect(await errorOf(voterApi.request("/v1/nothing"))).toBe("404 not-found: there is no GET /v1/nothing");
  });
});

describe("bundles", () => {
  const bundle = new TextEncoder().encode("a bundle");

  it("are stored under their hash, and found again", async () => {
    const address = `/v1/bundles/${hashOf(bundle)}`;
    expect((await voterApi.request(address, { method: "HEAD" })).status).toBe(404);
    expect((await voterApi.request(address, { method: "PUT", body: bundle })).status).toBe(201);
    expect((await voterApi.request(address, { method: "HEAD" })).status).toBe(200);
  });

  it("that someone asked for are there still when the deploy comes", async () => {
    let nowMs = Date.now();
    const store = await ContentStore.open({ folder }, { nowMs: () => nowMs });
    const api = createApi({ ...voter.deps, bundles: store });
    const address = `/v1/bundles/${hashOf(bundle)}`;
    await api.request(address, { method: "PUT", body: bundle });
    nowMs += 60 * 60 * 1_000;
    expect((await api.request(address)).status).toBe(200);
    expect(await store.removeUnused(new Set())).toEqual([]);
  });

  it.each([
    [`/v1/bundles/${hashOf(bundle)}`, "other bytes", "400 invalid: its bytes have another hash"],
    [`/v1/bundles/${hashOf(bundle)}`, "x".repeat(200_000), "413 too-large: at most 100000 bytes"],
    ["/v1/bundles/..%2f..%2fetc", "x", "400 invalid: a bundle is named by its SHA-256"],
  ])("at %s are refused when they are not what they should be", async (address, body, expected) => {
    expect(await errorOf(voterApi.request(address, { method: "PUT", body }))).toContain(expected);
  });
});

describe("logs", () => {
  it.each(["host", "relay"])("are read to the lines asked for, by way of the %s", async (way) => {
    const file = path.join(folder, "output.log");
    writeFileSync(file, "one\ntwo\nthree\n");
    other.logFiles.set(vmName("hello-v1-1"), file);
    writeVm(otherMesh, fakeVmEntry("hello-v1-1", memberName("host-2")));
    await Promise.resolve();
    const api = way === "host" ? otherApi : voterApi;
    const response = await api.request("/v1/vms/hello-v1-1/logs?lines=2");
    expect(await response.text()).toBe("two\nthree\n");
  });

  it.each(["host", "relay"])("are followed until the reader goes, by way of the %s", async (way) => {
    const file = path.join(folder, "output.log");
    writeFileSync(file, "one\n");
    other.logFiles.set(vmName("hello-v1-1"), file);
    writeVm(otherMesh, fakeVmEntry("hello-v1-1", memberName("host-2")));
    await Promise.resolve();
    const api = way === "host" ? otherApi : voterApi;
    const response = await api.request("/v1/vms/hello-v1-1/logs?follow=true&lines=1");
    const reader = response.body?.getReader() as ReadableStreamDefaultReader<Uint8Array>;
    const read = async () => new TextDecoder().decode((await reader.read()).value);
    expect(await read()).toBe("one\n");
    appendFileSync(file, "two\n");
    expect(await read()).toBe("two\n");
    await reader.cancel();
  });

  it("say whose VM cannot be reached, and that there is no such VM", async () => {
    writeVm(otherMesh, fakeVmEntry("hello-v1-1", memberName("host-2")));
    await Promise.resolve();
    hub.disconnect(voterMesh, otherMesh);
    expect(await errorOf(voterApi.request("/v1/vms/hello-v1-1/logs"))).toBe(
      "503 unavailable: host-2, the host of hello-v1-1, cannot be reached",
    );
    expect(await errorOf(voterApi.request("/v1/vms/hello-v1-9/logs"))).toBe(
      "404 not-found: no host has a VM hello-v1-9",
    );
    expect(await errorOf(voterApi.request("/v1/vms/hello-v1-1/logs?lines=x"))).toContain(
      "400 invalid: lines",
    );
  });
});

describe("web pages", () => {
  it("of other origins and of rebound names are refused", async () => {
    const fromPage = voterApi.request("/v1/apps/hello", {
      method: "DELETE",
      headers: { origin: "http://evil.example" },
    });
    expect(await errorOf(fromPage)).toBe("403 forbidden: web pages may not use this API");
    expect(await errorOf(voterApi.request("http://evil.example/v1/members"))).toContain("403 forbidden");
    expect((await voterApi.request("http://127.0.0.1:7900/v1/health")).status).toBe(200);
    expect((await voterApi.request("http://[::1]:7900/v1/health")).status).toBe(200);
  });
});

describe("the relay service", () => {
  it("fails calls that are no request of ours, and survives them", async () => {
    const call = async (request: Uint8Array) => {
      for await (const _ of otherMesh.call(voterMesh.self.owner, "api", request, AbortSignal.timeout(5_000)))
        break;
    };
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        await expect(call(bytes)).rejects.toThrow("relayed request");
      }),
      { numRuns: 200 },
    );
    for (const path of ["/metrics", "http://x/v1/", "/v1/../metrics", "/v2/"]) {
      const request = encodeRecord({ format: 1, method: "GET", path, body: new Uint8Array() });
      await call(request).catch(() => undefined);
    }
    expect((await voterApi.request("/v1/health")).status).toBe(200);
  });

  it("is not fooled by a target that answers nonsense", async () => {
    voterMesh.handle("api", async function* () {
      yield new Uint8Array([1, 2, 3]);
    });
    expect(await errorOf(otherApi.request("/v1/apps"))).toContain("500 internal: host-1 answered");
    voterMesh.handle("api", async function* () {});
    expect(await errorOf(otherApi.request("/v1/apps"))).toContain("500 internal: host-1 answered");
  });

  it("breaks the answer off when the target is lost on the way", async () => {
    deploys.show(fakeView());
    const response = await otherApi.request("/v1/apps/hello/watch");
    const reader = response.body?.getReader() as ReadableStreamDefaultReader<Uint8Array>;
    await nextLine(reader);
    const next = nextLine(reader);
    hub.disconnect(voterMesh, otherMesh);
    await expect(next).rejects.toThrow();
  });
});
