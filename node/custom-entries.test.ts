import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { encodeRecord, type Mesh } from "../mesh/index.ts";
import { MemoryHub } from "../mesh/sim/memory-mesh.ts";
import { FakeCustomFile } from "./api/testing/fake-agent.ts";
import { CustomEntries } from "./custom-entries.ts";
import { type CustomFile, customFileAt } from "./custom-file.ts";

const DAY_MS = 24 * 60 * 60 * 1_000;
const bytes = (text: string) => new TextEncoder().encode(text);

let hub: MemoryHub;
let mesh: Mesh;
let file: FakeCustomFile;
let entries: CustomEntries;
let nowMs: number;
let errors: object[];
beforeEach(() => {
  hub = new MemoryHub();
  file = new FakeCustomFile();
  nowMs = 0;
  errors = [];
  start(file);
});

/** An agent's start, its first or another one. */
function start(on: CustomFile): void {
  mesh = hub.join({ name: "host-1", role: "host" });
  const logger = { info: () => undefined, error: (facts: object) => void errors.push(facts) };
  entries = new CustomEntries({ mesh, file: on, logger: logger as never, nowMs: () => nowMs });
}

async function restart(): Promise<void> {
  await entries.stop();
  await mesh.stop();
  start(file);
  await entries.restore();
}

const held = () =>
  Object.fromEntries(
    mesh.store.list("custom/").map(({ key, value }) => [key, new TextDecoder().decode(value ?? undefined)]),
  );

describe("custom entries", () => {
  it("outlive a restart, and what was deleted does not", async () => {
    await entries.put("a", bytes("one"), null);
    await entries.put("b/c", bytes("two"), null);
    await entries.put("a", bytes("three"), null);
    await entries.delete("b/c", null);
    await entries.put("empty", bytes(""), null);
    await restart();
    expect(held()).toEqual({ "custom/a": "three", "custom/empty": "" });
  });

  it("are on disk before anybody hears of them", async () => {
    const order: string[] = [];
    mesh.onChange(({ key }) => order.push(`${key} after ${file.writes} writes`));
    await entries.put("a", bytes("one"), null);
    await entries.delete("a", null);
    expect(order).toEqual(["custom/a after 1 writes", "custom/a after 2 writes"]);
  });

  it("are neither told nor kept when the disk fails, and go on when it works again", async () => {
    await entries.put("a", bytes("one"), null);
    file.failure = new Error("ENOSPC: no space left on device");
    const message = "cannot be written to disk, nothing was changed: ENOSPC: no space left on device";
    expect(await entries.put("b", bytes("two"), null)).toEqual({ code: "unavailable", message });
    expect(await entries.delete("a", null)).toEqual({ code: "unavailable", message });
    expect(held()).toEqual({ "custom/a": "one" });
    expect(entries.metrics()).toContain("grapevine_custom_entries_disk_failures_total 2");
    file.failure = null;
    await entries.put("c", bytes("three"), null);
    await restart();
    expect(held()).toEqual({ "custom/a": "one", "custom/c": "three" });
  });

  it("that come at once are all kept", async () => {
    const keys = Array.from({ length: 50 }, (_, index) => `k${index}`);
    const written = await Promise.all(keys.map((key) => entries.put(key, bytes(key), null)));
    expect(new Set(written.map(({ code }) => code))).toEqual(new Set(["written"]));
    await restart();
    expect(Object.keys(held())).toHaveLength(50);
  });

  it("put again as they are write nothing and keep their version", async () => {
    const first = await entries.put("a", bytes("one"), null);
    expect(await entries.put("a", bytes("one"), null)).toEqual(first);
    expect(file.writes).toBe(1);
  });

  it("are bounded in number and in bytes", async () => {
    for (let index = 0; index < 64; index += 1)
      await entries.put(`large/${index}`, new Uint8Array(65_536), null);
    expect(await entries.put("x", bytes("1"), null)).toMatchObject({
      code: "too-large",
      message: "this agent keeps at most 4194304 bytes of custom entries",
    });
    for (let index = 0; index < 64; index += 1) await entries.delete(`large/${index}`, null);
    for (let index = 0; index < 1_000; index += 1) await entries.put(`k${index}`, bytes(""), null);
    expect(await entries.put("x", bytes("1"), null)).toMatchObject({
      code: "too-large",
      message: "this agent keeps at most 1000 custom entries",
    });
    expect(await entries.put("k7", bytes("other"), null)).toMatchObject({ code: "written" });
  });

  it("of ever new keys leave room for the tombstones of the old ones, which go after a day", async () => {
    for (let index = 0; index < 10_000; index += 1) {
      await entries.put(`k${index}`, bytes(""), null);
      await entries.delete(`k${index}`, null);
    }
    expect(await entries.put("x", bytes("1"), null)).toMatchObject({ code: "too-large" });
    expect(await entries.put("k1", bytes("1"), null)).toMatchObject({ code: "written" });
    nowMs += 2 * DAY_MS;
    expect(await entries.put("x", bytes("1"), null)).toMatchObject({ code: "written" });
  });

  it("are refused once the agent stops", async () => {
    await entries.stop();
    expect(await entries.put("a", bytes("one"), null)).toMatchObject({ code: "unavailable" });
    expect(file.writes).toBe(0);
  });

  it.each([
    ["no msgpack", new Uint8Array([0xc1])],
    ["another format", encodeRecord({ format: 2, entries: [] })],
    ["a key that is none", encodeRecord({ format: 1, entries: [{ key: "a b", value: new Uint8Array() }] })],
  ])("in a file with %s are set aside, with an error, and the agent starts", async (_what, content) => {
    file.content = content;
    await entries.restore();
    expect(errors).toMatchObject([{ keptAs: "aside" }]);
    expect(await entries.put("a", bytes("one"), null)).toMatchObject({ code: "written" });
  });
});

describe("the file of custom entries", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "grapevine-custom-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it("is read back as written, for its owner alone, and set aside beside itself", async () => {
    const path = join(folder, "custom-entries");
    const real = customFileAt(path);
    expect(await real.read()).toBeUndefined();
    await real.write(bytes("content"));
    expect(new TextDecoder().decode(await real.read())).toBe("content");
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await real.setAside()).toBe(`${path}.broken`);
    expect(await real.read()).toBeUndefined();
    expect(readFileSync(`${path}.broken`, "utf8")).toBe("content");
  });

  it("that cannot be written rejects, and what was there stands", async () => {
    const path = join(folder, "file", "custom-entries");
    writeFileSync(join(folder, "file"), "");
    await expect(customFileAt(path).write(bytes("x"))).rejects.toThrow("ENOTDIR");
  });
});
