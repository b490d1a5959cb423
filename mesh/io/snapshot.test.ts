import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ownerId } from "../core/ids.ts";
import type { Store } from "../core/store.ts";
import { SNAPSHOT_PART_BYTES_MAX } from "../limits.ts";
import { seededRandom } from "../sim/seeded-random.ts";
import { newOwner, SnapshotFolder, write } from "../sim/snapshot-harness.ts";
import { SNAPSHOT_FILE } from "./snapshot.ts";

let folder: SnapshotFolder;

beforeEach(() => {
  folder = new SnapshotFolder();
});

afterEach(() => folder.remove());

/** A file with two owners' states, closed. */
async function fill(): Promise<Store> {
  const { snapshot, store } = await folder.open();
  for (const name of ["owner-1", "owner-2"]) {
    write(newOwner(name), store, { a: new Uint8Array([1]), b: new Uint8Array(3_000).fill(7), gone: null });
  }
  await snapshot.stop();
  return store;
}

function alter(sql: string): void {
  const database = new DatabaseSync(folder.file);
  database.exec(sql);
  database.close();
}

describe("a snapshot", () => {
  test("gives the next start what the store held when it stopped, stale until a peer shows it", async () => {
    const before = await fill();
    const { store, outcomes, snapshot } = await folder.open();
    expect(outcomes).toEqual(["applied", "applied"]);
    expect(store.list("")).toEqual(before.list(""));
    expect(store.isStale(ownerId("owner-1"))).toBe(true);
    expect(Object.fromEntries(snapshot.counters())).toEqual({});
  });

  test("follows the store: what changes, what is deleted, whose owner began anew or was forgotten", async () => {
    const { store, batches, snapshot } = await folder.open();
    const [kept, gone] = [newOwner("kept"), newOwner("gone")];
    write(kept, store, { a: new Uint8Array([1]), b: new Uint8Array([1]) });
    write(gone, store, { a: new Uint8Array([1]) });
    expect((await batches.next()).deltas).toHaveLength(2);
    write(kept, store, { b: null });
    expect(await batches.next()).toMatchObject({ deltas: [{ from: 2, to: 3 }] });
    write(newOwner("kept", 2), store, { c: new Uint8Array([2]) });
    expect(await batches.next()).toMatchObject({ deltas: [{ from: 0, to: 1 }] });
    store.forget(ownerId("gone"), { incarnation: 9, startId: 0 });
    expect(await batches.next()).toMatchObject({ deltas: [], removed: ["gone"] });
    expect(snapshot.counters().get("snapshot-written")).toBe(4);
    await snapshot.stop();
    const again = await folder.open();
    expect(again.store.list("").map(({ owner, key }) => `${owner} ${key}`)).toEqual(["kept c"]);
  });

  test("of a state that is far larger than one part is whole or not there", async () => {
    const { store, snapshot } = await folder.open();
    const values = Array.from({ length: 40 }, (_, at) => [`${at}`, new Uint8Array(60_000).fill(at)] as const);
    write(newOwner("large"), store, Object.fromEntries(values));
    expect(40 * 60_000).toBeGreaterThan(4 * SNAPSHOT_PART_BYTES_MAX);
    await snapshot.stop();
    const again = await folder.open();
    expect(again.outcomes).toEqual(["applied"]);
    expect(again.store.list("")).toEqual(store.list(""));
  });
});

describe("a file that was tampered with", () => {
  test.each([
    ["a value", "UPDATE entry SET value = x'ff' WHERE owner = 'owner-1' AND key = 'a'", "root"],
    ["an entry taken away", "DELETE FROM entry WHERE owner = 'owner-1' AND key = 'a'", "root"],
    ["a head", "UPDATE state SET complete_at = 2 WHERE owner = 'owner-1'", "signature"],
    ["a version", "UPDATE state SET incarnation = 4000000 WHERE owner = 'owner-1'", "signature"],
    ["an owner", "UPDATE state SET owner = 'owner-0' WHERE owner = 'owner-1'", "signature"],
  ])("is refused for %s, the other states are taken, and it is written anew", async (_, sql, reason) => {
    const before = await fill();
    alter(sql);
    const { outcomes, store, snapshot } = await folder.open();
    expect([...outcomes].sort()).toEqual(["applied", reason]);
    expect(store.list("").map(({ owner }) => owner)).not.toContain("owner-1");
    write(newOwner("owner-1", 2), store, { a: new Uint8Array([1]) });
    await snapshot.stop();
    const again = await folder.open();
    expect(again.outcomes).toEqual(["applied", "applied"]);
    expect(again.store.get(ownerId("owner-2"), "b")).toEqual(before.get(ownerId("owner-2"), "b"));
  });

  test.each([
    ["a number that is none", "UPDATE state SET counter = -1 WHERE owner = 'owner-1'"],
    ["a number over its bound", "UPDATE state SET start_id = 9223372036854775807 WHERE owner = 'owner-1'"],
    ["a root of another length", "UPDATE state SET root = x'00' WHERE owner = 'owner-1'"],
    ["a key of no length", "UPDATE entry SET key = '' WHERE owner = 'owner-1' AND key = 'a'"],
    ["two entries of one version", "UPDATE entry SET counter = 2 WHERE owner = 'owner-1' AND key = 'a'"],
  ])("is counted for %s, and the other states are taken", async (_, sql) => {
    await fill();
    alter(sql);
    const { outcomes, snapshot } = await folder.open();
    expect(outcomes).toEqual(["applied"]);
    expect(snapshot.counters().get("snapshot-unreadable")).toBe(1);
  });
});

describe("a file that cannot be used", () => {
  const faults: Readonly<Record<string, () => void>> = {
    "that is no database": () =>
      writeFileSync(folder.file, "not a database, but long enough to have a header of one "),
    "of another release": () => alter("PRAGMA user_version = 99"),
    "without its tables": () => alter("DROP TABLE entry"),
    "that was cut off": () => writeFileSync(folder.file, readFileSync(folder.file).subarray(0, 9_000)),
  };

  test.each(Object.keys(faults))("%s is set aside, named, and begun anew", async (fault) => {
    await fill();
    faults[fault]?.();
    const lines: string[] = [];
    const logger = pino({ level: "warn" }, { write: (line: string) => lines.push(line) });
    const { store, snapshot, batches } = await folder.open({ logger });
    expect(snapshot.counters().get("snapshot-set-aside")).toBe(1);
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { msg: expect.stringMatching(/set aside/) },
    ]);
    expect(readdirSync(folder.path)).toContain(`${SNAPSHOT_FILE}.set-aside`);
    write(newOwner("owner-3"), store, { a: new Uint8Array([1]) });
    await batches.next();
    await snapshot.stop();
    expect((await folder.open()).store.get(ownerId("owner-3"), "a")).toBeDefined();
  });

  test("of another cluster is set aside: its members are strangers", async () => {
    await fill();
    const { store, snapshot } = await folder.open({ cluster: "other" });
    expect(store.list("")).toEqual([]);
    expect(snapshot.counters().get("snapshot-set-aside")).toBe(1);
  });

  test("because another process has it stays where it is, and is tried again", async () => {
    await fill();
    const other = new DatabaseSync(folder.file);
    other.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; DELETE FROM state; ROLLBACK");
    const { store, snapshot, batches } = await folder.open();
    expect(store.list("")).toEqual([]);
    expect(snapshot.counters().get("snapshot-failed")).toBe(1);
    expect(readdirSync(folder.path)).not.toContain(`${SNAPSHOT_FILE}.set-aside`);
    other.close();
    write(newOwner("owner-3"), store, { a: new Uint8Array([1]) });
    expect(await batches.next()).toMatchObject({ removed: ["owner-1", "owner-2"] });
  });

  test("with bytes that rotted anywhere is never a crash, and gives nothing that was not signed", async () => {
    const before = await fill();
    const whole = readFileSync(folder.file);
    const random = seededRandom(7);
    for (let round = 0; round < 200; round += 1) {
      const rotten = new Uint8Array(whole);
      for (let at = 0; at < 1 + 8 * random(); at += 1) flip(rotten, random);
      writeFileSync(folder.file, rotten);
      const { store } = folder.read();
      for (const entry of store.list("")) expect(before.get(entry.owner, entry.key)).toEqual(entry);
    }
  });
});

function flip(bytes: Uint8Array, random: () => number): void {
  const at = Math.floor(random() * bytes.length);
  bytes[at] = (bytes[at] ?? 0) ^ (1 + Math.floor(255 * random()));
}
