import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { decodeRecord, encodeRecord } from "../../mesh/index.ts";
import { MemoryHub } from "../../mesh/sim/memory-mesh.ts";
import { type Api, ApiHarness, errorOf, get } from "./testing/api-harness.ts";

/** Of host-1, which drives, and of host-2. */
let { voterMesh: firstMesh, otherMesh, voterApi: firstApi, otherApi } = {} as ApiHarness;
let harness: ApiHarness;
let hub: MemoryHub;

beforeEach(() => {
  hub = new MemoryHub();
  harness = new ApiHarness(hub);
  ({ voterMesh: firstMesh, otherMesh, voterApi: firstApi, otherApi } = harness);
});
afterEach(() => harness.stop());

describe("entries of people", () => {
  const put = (api: Api, key: string, body: string | Uint8Array<ArrayBuffer>) =>
    api.request(`/v1/entries/${key}`, { method: "PUT", body });
  const remove = (api: Api, key: string) => api.request(`/v1/entries/${key}`, { method: "DELETE" });

  it("are read on every member, JSON as what it is", async () => {
    const text = '{"text":"hi","n":[1,2.5,null]}';
    const written = (await (await put(otherApi, "site/motd", text)).json()) as { version: object };
    expect(written).toEqual({
      key: "custom/site/motd",
      owner: "host-2",
      version: otherMesh.store.head(otherMesh.self.owner),
      wait: null,
      acks: [],
      missing: [],
    });
    await Promise.resolve();
    const listed = (await get(firstApi, "/v1/entries?prefix=custom/")).json;
    const { key, version } = written as { key: string; version: object };
    const value = { text: "hi", n: [1, 2.5, null] };
    const bytes = text.length;
    expect(listed).toEqual([{ owner: "memory-host-2", name: "host-2", key, version, bytes, value }]);
  });

  it("are any bytes, and come back as they were, with who wrote them and when", async () => {
    const bytes = Uint8Array.from([0, 255, 193, 10]);
    await put(otherApi, "raw/bytes", bytes);
    await Promise.resolve();
    const own = await otherApi.request("/v1/entries/raw/bytes");
    const others = await firstApi.request("/v1/entries/raw/bytes?owner=host-2");
    const { incarnation, startId, counter } = otherMesh.store.head(otherMesh.self.owner)!;
    for (const response of [own, others]) {
      expect(new Uint8Array(await response.arrayBuffer())).toEqual(bytes);
      expect(Object.fromEntries(response.headers)).toEqual({
        "content-type": "application/octet-stream",
        "content-length": "4",
        "grapevine-owner": "host-2",
        "grapevine-version": `${incarnation}.${startId}.${counter}`,
      });
    }
    await put(otherApi, "empty", "");
    expect(await (await otherApi.request("/v1/entries/empty")).text()).toBe("");
  });

  it.each([
    ["raw", "404 not-found: host-1 has no entry custom/raw, as far as host-1 knows"],
    ["raw?owner=host-9", "404 not-found: there is no member host-9"],
    ["raw?owner=no%20name", "400 invalid: this is no member's name"],
  ])("that are not there are not found: %s", async (address, expected) => {
    await put(otherApi, "raw", "1");
    expect(await errorOf(firstApi.request(`/v1/entries/${address}`))).toBe(expected);
  });

  it("go when their writer deletes them, once or twice", async () => {
    await put(otherApi, "a", "1");
    await Promise.resolve();
    expect(await errorOf(remove(firstApi, "a"))).toContain("404 not-found");
    const first = (await (await remove(otherApi, "a")).json()) as object;
    expect(first).toMatchObject({ key: "custom/a", wait: null });
    expect(await (await remove(otherApi, "a")).json()).toEqual(first);
    await Promise.resolve();
    expect((await get(firstApi, "/v1/entries?prefix=custom/")).json).toEqual([]);
  });

  it("are not written by way of another agent", async () => {
    const request = encodeRecord({
      format: 1,
      method: "DELETE",
      path: "/v1/entries/a",
      body: new Uint8Array(),
    });
    await put(firstApi, "a", "1");
    const call = otherMesh.call(firstMesh.self.owner, "api", request, AbortSignal.timeout(5_000));
    const chunks: Uint8Array[] = [];
    for await (const chunk of call) chunks.push(chunk);
    expect(decodeRecord(z.unknown(), chunks[0]!)).toMatchObject({ value: { status: 403 } });
    expect((await firstApi.request("/v1/entries/a")).status).toBe(200);
  });

  it("lists what others wrote, as far as it is printable", async () => {
    otherMesh.write("custom/odd", new Uint8Array([0xc1]));
    otherMesh.write("x/odd", encodeRecord({ big: 2n ** 60n, bytes: new Uint8Array(3) }));
    await Promise.resolve();
    // 3,000 arrays of one element, one in the other.
    otherMesh.write("y/deep", new Uint8Array(3_001).fill(0x91, 0, 3_000));
    otherMesh.write("custom/deep", new TextEncoder().encode(`${"[".repeat(20_000)}${"]".repeat(20_000)}`));
    await Promise.resolve();
    expect((await get(firstApi, "/v1/entries")).status).toBe(200);
    expect((await get(firstApi, "/v1/entries?prefix=x/")).json).toMatchObject([
      { value: { big: String(2n ** 60n), bytes: { bytes: 3 } } },
    ]);
  });

  it.each([
    ["a%20b", "1", "400 invalid: a key has"],
    ["a//b", "1", "400 invalid: a key has"],
    ["a/", "1", "400 invalid: a key has"],
    ["a/%252e%252e/b", "1", "400 invalid: a key has"],
    ["x".repeat(250), "1", "400 invalid: a key has"],
    ["a?wait=acked", "1", '400 invalid: wait must be "applied"; found "acked"'],
    ["a?timeout=1s", "1", "400 invalid: timeout is for wait=applied"],
    ["a?wait=applied&timeout=5", "1", "400 invalid: timeout must be a duration from 1ms to 10m"],
    ["a?wait=applied&timeout=11m", "1", "400 invalid: timeout must be a duration from 1ms to 10m"],
    ["a", "x".repeat(65_537), "413 too-large: a value has at most 65536 bytes"],
  ])("refuses the entry %j", async (key, body, expected) => {
    const response = await put(firstApi, key, body);
    expect(await errorOf(response)).toContain(expected);
    expect(firstMesh.store.list("custom/")).toEqual([]);
  });
});

describe("entries that are waited for", () => {
  const write = (method: string, key: string) =>
    firstApi.request(`/v1/entries/${key}`, { method, body: "1" });

  it.each(["PUT", "DELETE"])("%s answers with all acks when every one has it in force", async (method) => {
    if (method === "DELETE") await write("PUT", "a");
    const response = await write(method, "a?wait=applied&timeout=1m");
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      key: "custom/a",
      owner: "host-1",
      version: firstMesh.store.head(firstMesh.self.owner),
      wait: "applied",
      acks: [{ name: "host-2", role: "host", ms: expect.any(Number) }],
      missing: [],
    });
    expect(otherMesh.store.list("custom/")).toHaveLength(method === "PUT" ? 1 : 0);
  });

  it("answer 504 when the time is over, name who is missing, and stand", async () => {
    const proxy = hub.join({ name: "proxy-1", role: "proxy" });
    proxy.write("proxy/proxy-1", new Uint8Array([1]));
    proxy.announce();
    await Promise.resolve();
    hub.disconnect(firstMesh, proxy);
    hub.disconnect(otherMesh, proxy);
    const response = await write("PUT", "a?wait=applied&timeout=50ms");
    expect(response.status).toBe(504);
    expect(await response.json()).toMatchObject({
      key: "custom/a",
      wait: "applied",
      missing: expect.arrayContaining([{ name: "proxy-1", role: "proxy", why: "not connected" }]),
      error: {
        code: "timed-out",
        message: expect.stringMatching(
          /^custom\/a is written and stands; not in force within 50ms at .*proxy-1/,
        ),
      },
    });
    const again = write("PUT", "a?wait=applied&timeout=1m");
    hub.reconnect(firstMesh, proxy);
    expect((await again).status).toBe(200);
    await proxy.stop();
  });
});
