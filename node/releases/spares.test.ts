import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { BundleHash } from "../../mesh/index.ts";
import { Spares } from "./spares.ts";

const [one, two] = ["1", "2"].map((digit) => digit.repeat(64)) as [BundleHash, BundleHash];
let root = "";
let here: Set<BundleHash>;
let unpacked: BundleHash[];
let warned: object[];
/** Then an unpacking ends. */
let finish: () => Promise<void>;
let spares: Spares;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "grapevine-spares-"));
  [here, unpacked, warned, finish] = [new Set([one, two]), [], [], async () => undefined];
  spares = await opened();
});
afterEach(async () => {
  await spares.stop();
  await rm(root, { recursive: true, force: true });
});

function opened(): Promise<Spares> {
  return Spares.open(join(root, "spares"), {
    unpack: async (hash, folder) => {
      unpacked.push(hash);
      if (!here.has(hash)) throw Object.assign(new Error("no such file"), { code: "ENOENT" });
      await mkdir(folder);
      await finish();
      await writeFile(join(folder, "file"), hash);
    },
    logger: { warn: (fields: object) => void warned.push(fields) } as never,
  });
}

async function keep(...hashes: BundleHash[]): Promise<void> {
  spares.keep({ asleep: new Set(hashes), waking: new Set() });
  await spares.settled();
}

function left(): Promise<readonly string[]> {
  return readdir(join(root, "spares"));
}

describe("Spares", () => {
  it("give the files once, and make no other while it is not asked for again", async () => {
    await keep(one);
    const folder = join(root, "app");
    const taken = await Promise.all([spares.take(one, folder), spares.take(one, join(root, "other"))]);
    expect(taken).toEqual([true, false]);
    expect(await readFile(join(folder, "file"), "utf8")).toBe(one);
    await keep();
    expect(unpacked).toEqual([one]);
    expect(await left()).toEqual([]);
    await keep(one);
    expect(unpacked).toEqual([one, one]);
  });

  it("stay while their app wakes, and no other is made then", async () => {
    await keep(one);
    const waking = { asleep: new Set<BundleHash>(), waking: new Set([one, two]) };
    spares.keep(waking);
    await spares.settled();
    expect(await spares.take(one, join(root, "app"))).toBe(true);
    spares.keep(waking);
    await spares.settled();
    expect(unpacked).toEqual([one]);
  });

  it("are removed when nobody needs them, those of an earlier start too", async () => {
    await keep(one, two);
    expect(await left()).toHaveLength(2);
    await keep(two);
    expect(await left()).toHaveLength(1);
    await spares.stop();
    spares = await opened();
    await spares.settled();
    expect(await left()).toEqual([]);
    expect(await spares.take(two, join(root, "app"))).toBe(false);
  });

  it("are not given away before they are whole: who needs one that is being made waits for it", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    finish = () => promise;
    spares.keep({ asleep: new Set([one]), waking: new Set() });
    const folder = join(root, "app");
    const taken = spares.take(one, folder);
    expect(await spares.take(two, folder)).toBe(false);
    expect(await readdir(root)).not.toContain("app");
    resolve();
    expect(await taken).toBe(true);
    expect(await readFile(join(folder, "file"), "utf8")).toBe(one);
  });

  it("are none of a bundle that is not here, which is no fault; what fails is told once, and tried again after the next night", async () => {
    here.delete(one);
    await keep(one);
    await keep(one);
    expect([unpacked, warned]).toEqual([[one], []]);
    finish = () => Promise.reject(new Error("no space"));
    await keep(two);
    await keep(two);
    expect(warned).toMatchObject([{ bundle: two, error: "no space" }]);
    expect(await left()).toEqual([]);
    finish = async () => undefined;
    await keep();
    await keep(two);
    expect(await left()).toHaveLength(1);
  });

  it("leave the files to be unpacked where they cannot be moved to", async () => {
    await keep(one);
    expect(await spares.take(one, join(root, "none", "app"))).toBe(false);
    expect(await left()).toEqual([]);
  });
});
