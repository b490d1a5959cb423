import { createHash, randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type BundleHash, bundleHash } from "../../mesh/index.ts";
import { ContentStore } from "./content-store.ts";

let folder = "";
let nowMs = 0;
let store: ContentStore;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "grapevine-store-"));
  nowMs = Date.UTC(2026, 0);
  store = await ContentStore.open({ folder }, { nowMs: () => nowMs });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function hashOf(bytes: Uint8Array): BundleHash {
  return bundleHash(createHash("sha256").update(bytes).digest("hex"));
}
async function* chunksOf(bytes: Uint8Array, chunkBytes = 1_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
}
async function read(hash: BundleHash, chunkBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of store.read(hash, chunkBytes)) {
    expect(chunk.length).toBeLessThanOrEqual(chunkBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

describe("ContentStore", () => {
  it("gives back what was put, whatever the chunks", async () => {
    const bytes = randomBytes(100_000);
    const hash = hashOf(bytes);
    expect(await store.touch(hash)).toBe(false);
    expect(await store.put(hash, chunksOf(bytes))).toEqual({ code: "stored" });
    expect(await store.touch(hash)).toBe(true);
    expect(Buffer.compare(await read(hash, 4_097), bytes)).toBe(0);
  });

  it("stores nothing of what has another hash, and says which", async () => {
    const hash = hashOf(Buffer.from("wanted"));
    const put = await store.put(hash, chunksOf(Buffer.from("got")));
    expect(put).toEqual({ code: "mismatch", message: expect.stringContaining(`not ${hash}`) });
    expect(await readdir(folder)).toEqual([]);
  });

  it("stores nothing over the bound, and does not read on", async () => {
    let given = 0;
    const endless = async function* () {
      for (;;) {
        given += 1;
        yield new Uint8Array(1024 * 1024);
      }
    };
    expect(await store.put(hashOf(Buffer.from("")), endless())).toMatchObject({ code: "too-large" });
    expect(given).toBe(101);
    expect(await readdir(folder)).toEqual([]);
  });

  it("stores nothing when the sender breaks off, and passes on why", async () => {
    const broken = async function* () {
      yield new Uint8Array(10);
      throw new Error("connection lost");
    };
    await expect(store.put(hashOf(Buffer.from("")), broken())).rejects.toThrow("connection lost");
    expect(await readdir(folder)).toEqual([]);
  });

  it("says that the disk is full, and leaves nothing behind", async () => {
    const full = async function* () {
      yield new Uint8Array(10);
      throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
    };
    const put = await store.put(hashOf(Buffer.from("")), full());
    expect(put).toEqual({ code: "no-space", message: expect.stringContaining("no room") });
    expect(await readdir(folder)).toEqual([]);
  });

  it("takes the same bundle from two senders at once", async () => {
    const bytes = randomBytes(10_000);
    const puts = [store.put(hashOf(bytes), chunksOf(bytes)), store.put(hashOf(bytes), chunksOf(bytes, 7))];
    expect(await Promise.all(puts)).toEqual([{ code: "stored" }, { code: "stored" }]);
    expect(await readdir(folder)).toEqual([`${hashOf(bytes)}.tar`]);
  });

  it("removes what nobody uses, but not what came or was asked for lately", async () => {
    const bundles = ["used", "unused", "asked-for", "new"].map((text) => Buffer.from(text));
    const [used, unused, askedFor, fresh] = bundles.map(hashOf) as [
      BundleHash,
      BundleHash,
      BundleHash,
      BundleHash,
    ];
    for (const bytes of bundles.slice(0, 3)) await store.put(hashOf(bytes), chunksOf(bytes));
    nowMs += 11 * 60 * 1_000;
    await store.put(fresh, chunksOf(Buffer.from("new")));
    expect(await store.touch(askedFor)).toBe(true);
    expect(await store.removeUnused(new Set([used]))).toEqual([unused]);
    expect(await Promise.all([used, unused, askedFor, fresh].map((hash) => store.touch(hash)))).toEqual([
      true,
      false,
      true,
      true,
    ]);
  });

  it("open() clears what a put that was killed left behind, and nothing else", async () => {
    const bytes = Buffer.from("kept");
    await store.put(hashOf(bytes), chunksOf(bytes));
    await writeFile(join(folder, `${hashOf(bytes)}.tar.0123.part`), "half");
    await mkdir(join(folder, "else"));
    await ContentStore.open({ folder }, { nowMs: () => nowMs });
    expect((await readdir(folder)).sort()).toEqual([`${hashOf(bytes)}.tar`, "else"].sort());
  });
});
