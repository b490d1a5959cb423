import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type BundleHash,
  bundleHash,
  CALL_CHUNK_BYTES_MAX,
  encodeRecord,
  type Mesh,
} from "../../mesh/index.ts";
import { MemoryHub } from "../../mesh/sim/memory-mesh.ts";
import { ContentStore } from "./content-store.ts";
import { BUNDLE_SERVICE, ContentFetcher } from "./fetch.ts";

const never = new AbortController().signal;
const quick = { stallTimeoutMs: 60_000, retryForMs: 0, awayForMs: 0 };
let root = "";
let hub: MemoryHub;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "grapevine-fetch-"));
  hub = new MemoryHub();
});
afterEach(() => rm(root, { recursive: true, force: true }));

interface Host {
  readonly mesh: Mesh;
  readonly store: ContentStore;
  readonly fetcher: ContentFetcher<BundleHash>;
}

async function joinHost(name: string, options = quick): Promise<Host> {
  const mesh = hub.join({ name, role: "host" });
  mesh.announce();
  const store = await ContentStore.open({ folder: join(root, name) }, { nowMs: Date.now });
  return { mesh, store, fetcher: new ContentFetcher(options, { mesh, store, service: BUNDLE_SERVICE }) };
}

/** A host whose "bundle" service is the test's. */
function joinOdd(name: string, answer: () => AsyncIterable<Uint8Array>): void {
  const mesh = hub.join({ name, role: "host" });
  mesh.announce();
  mesh.handle("bundle", answer);
}

const bytes = randomBytes(600_000);
const hash: BundleHash = bundleHash(createHash("sha256").update(bytes).digest("hex"));
async function* whole(): AsyncGenerator<Uint8Array> {
  yield bytes;
}

describe("ContentFetcher", () => {
  it("fetches from another host what it has not, and keeps it", async () => {
    const [one, two] = [await joinHost("host-1"), await joinHost("host-2")];
    await one.store.put(hash, whole());
    expect(await two.fetcher.fetch(hash, never)).toEqual({ ok: true, value: null });
    await one.mesh.stop();
    expect(await two.fetcher.fetch(hash, never)).toEqual({ ok: true, value: null });
    expect(Buffer.compare(await readFile(two.store.fileOf(hash)), bytes)).toBe(0);
  });

  it("answers in chunks within the mesh's bound", async () => {
    const [one, two] = [await joinHost("host-1"), await joinHost("host-2")];
    await one.store.put(hash, whole());
    const request = encodeRecord({ format: 1, hash });
    let total = 0;
    for await (const chunk of two.mesh.call(one.mesh.self.owner, "bundle", request, never)) {
      expect(chunk.length).toBeLessThanOrEqual(CALL_CHUNK_BYTES_MAX);
      total += chunk.length;
    }
    expect(total).toBe(bytes.length);
  });

  it.each([
    encodeRecord({ format: 2, hash }),
    encodeRecord({ format: 1, hash: "../../etc/passwd" }),
    encodeRecord({ format: 1, hash, more: 1 }),
    new Uint8Array([0xc1]),
    new Uint8Array(0),
  ])("refuses a request that it cannot read", async (request) => {
    const [one, two] = [await joinHost("host-1"), await joinHost("host-2")];
    const answer = two.mesh.call(one.mesh.self.owner, "bundle", request, never);
    await expect(answer[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: "failed" });
  });

  it("goes on to the next host when one lies, breaks off or has no such service", async () => {
    joinOdd("host-1", async function* () {
      yield Buffer.from("something else");
    });
    joinOdd("host-2", async function* () {
      yield bytes.subarray(0, 10);
      throw new Error("disk broken");
    });
    hub.join({ name: "host-3", role: "host" }).announce();
    const four = await joinHost("host-4");
    const last = await joinHost("host-9");
    await four.store.put(hash, whole());
    expect(await last.fetcher.fetch(hash, never)).toEqual({ ok: true, value: null });
  });

  it("names each host and its answer when nobody had it", async () => {
    await joinHost("host-1");
    joinOdd("host-2", async function* () {
      yield Buffer.from("something else");
    });
    hub.join({ name: "proxy-1", role: "proxy" }).announce();
    const last = await joinHost("host-9");
    const fetched = await last.fetcher.fetch(hash, never);
    expect(fetched).toEqual({
      ok: false,
      error: expect.stringMatching(/^host-1: not held here; host-2: .*hash/),
    });
  });

  it("says that no other host is connected", async () => {
    const alone = await joinHost("host-1");
    expect(await alone.fetcher.fetch(hash, never)).toEqual({
      ok: false,
      error: "no other host is connected",
    });
  });

  it("leaves a host that sends nothing for the next one", async () => {
    const asked: string[] = [];
    for (const name of ["host-1", "host-2"]) {
      joinOdd(name, async function* () {
        asked.push(name);
        if (name === "host-1") yield bytes;
        await new Promise(() => undefined);
      });
    }
    const last = await joinHost("host-9", { ...quick, stallTimeoutMs: 20 });
    const fetched = await last.fetcher.fetch(hash, never);
    expect(fetched).toMatchObject({
      error: "host-1: sent nothing for 20 ms; host-2: sent nothing for 20 ms",
    });
    expect(asked).toEqual(["host-1", "host-2"]);
  });

  it("asks again when a host that has it comes later", async () => {
    const last = await joinHost("host-9", { ...quick, retryForMs: 60_000 });
    const fetching = last.fetcher.fetch(hash, never);
    const one = await joinHost("host-1");
    await one.store.put(hash, whole());
    expect(await fetching).toEqual({ ok: true, value: null });
  });

  it("waits for a host that has it and is away just now, as its agent is that starts again", async () => {
    const [one, two] = [await joinHost("host-1"), await joinHost("host-2")];
    await one.store.put(hash, whole());
    const last = await joinHost("host-9", { ...quick, awayForMs: 60_000 });
    hub.disconnect(one.mesh, last.mesh);
    const asked = new Promise<void>((resolve) => {
      two.mesh.handle("bundle", async function* () {
        resolve();
        yield* [];
      });
    });
    const fetching = last.fetcher.fetch(hash, never);
    await asked;
    hub.reconnect(one.mesh, last.mesh);
    expect(await fetching).toEqual({ ok: true, value: null });
  });

  it("names those that are away when it waits no longer", async () => {
    const [one, last] = [await joinHost("host-1"), await joinHost("host-9")];
    await joinHost("host-2");
    hub.disconnect(one.mesh, last.mesh);
    const error = "host-2: not held here; host-1: not connected";
    expect(await last.fetcher.fetch(hash, never)).toEqual({ ok: false, error });
  });

  it("asks once for all who wait, and one who leaves does not end it for the others", async () => {
    let asked = 0;
    const go = Promise.withResolvers<void>();
    joinOdd("host-1", async function* () {
      asked += 1;
      await go.promise;
      yield bytes;
    });
    const last = await joinHost("host-9");
    const gone = new AbortController();
    const waits = [last.fetcher.fetch(hash, gone.signal), last.fetcher.fetch(hash, never)];
    while (asked === 0) await new Promise((next) => setImmediate(next));
    gone.abort();
    go.resolve();
    expect(await Promise.all(waits)).toEqual([
      { ok: false, error: "aborted" },
      { ok: true, value: null },
    ]);
    expect(asked).toBe(1);
  });

  it("ends the call when nobody waits any more", async () => {
    const ended = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const mesh = hub.join({ name: "host-1", role: "host" });
    mesh.announce();
    mesh.handle("bundle", async function* (_request, _from, signal) {
      signal.addEventListener("abort", () => ended.resolve(), { once: true });
      begun.resolve();
      yield bytes.subarray(0, 1);
      await ended.promise;
    });
    const last = await joinHost("host-9");
    const gone = new AbortController();
    const fetching = last.fetcher.fetch(hash, gone.signal);
    await begun.promise;
    gone.abort();
    expect(await fetching).toEqual({ ok: false, error: "aborted" });
    await ended.promise;
  });
});
