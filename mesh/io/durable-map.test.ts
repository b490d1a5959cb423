import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { DiskThread } from "./disk-thread.ts";
import { DurableMap } from "./durable-map.ts";
import type { DurableMapRow } from "./durable-map-file.ts";
import type { DurableMapRequest } from "./durable-map-worker.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "grapevine-map-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const open = (owner = "the gate of host-1"): Promise<DurableMap> =>
  DurableMap.open({ path: join(folder, "map.sqlite"), owner });
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function contentsOf(map: DurableMap): Readonly<Record<string, string>> {
  return Object.fromEntries([...map.rows].map(([key, value]) => [key, Buffer.from(value).toString()]));
}

describe("a durable map", () => {
  test("has after a start what was synced before it, and not what was taken away", async () => {
    const map = await open();
    map.put("one", bytes("1"));
    map.put("two", bytes("2"));
    await map.synced();
    map.put("one", bytes("first"));
    map.put("two", null);
    await map.synced();
    await map.close();
    const again = await open();
    expect(contentsOf(again)).toEqual({ one: "first" });
    await again.close();
  });

  test("writes what comes during a sync with the next, and says so to each only then", async () => {
    const map = await open();
    const order: string[] = [];
    map.put("one", bytes("1"));
    const first = map.synced().then(() => order.push("first"));
    map.put("two", bytes("2"));
    const second = map.synced().then(() => order.push("second"));
    const third = map.synced().then(() => order.push("third"));
    await Promise.all([first, second, third]);
    expect(order[0]).toBe("first");
    await map.close();
    const again = await open();
    expect(contentsOf(again)).toEqual({ one: "1", two: "2" });
    await again.close();
  });

  test("of another owner is not opened, and not changed", async () => {
    const map = await open();
    map.put("one", bytes("1"));
    await map.close();
    await expect(open("the gate of host-2")).rejects.toThrow(
      "it is of the gate of host-1, not of the gate of host-2",
    );
    const again = await open();
    expect(contentsOf(again)).toEqual({ one: "1" });
    await again.close();
  });

  test("is written by a thread that follows one that died", async () => {
    const map = await open();
    map.put("one", bytes("1"));
    await map.close();
    const owner = "the gate of host-1";
    const path = join(folder, "map.sqlite");
    const thread = new DiskThread<DurableMapRequest, DurableMapRow, null>(
      new URL("./durable-map-worker.ts", import.meta.url),
    );
    await thread.ask({ kind: "write", path, owner, rows: [{ key: "two", value: bytes("2") }] });
    await thread.end();
    const again = await open();
    expect(contentsOf(again)).toEqual({ one: "1", two: "2" });
    await again.close();
  });

  test("that cannot be written says so, at each sync anew", async () => {
    const map = await open();
    map.put("one", bytes("1"));
    await map.close();
    map.put("two", bytes("2"));
    await expect(map.synced()).rejects.toThrow("it was closed");
    await expect(map.synced()).rejects.toThrow("it was closed");
  });
});
