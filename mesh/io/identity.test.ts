import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openIdentity, persistIncarnation } from "./identity.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "grapevine-identity-"));
});

afterEach(() => rm(folder, { recursive: true }));

test("a restart is the same owner with a higher incarnation and another start id", async () => {
  const first = await openIdentity(folder, 5_000);
  const second = await openIdentity(folder, 6_000);
  expect(second.owner).toBe(first.owner);
  expect([first.start.incarnation, second.start.incarnation]).toEqual([5_001, 6_001]);
  expect(second.start.startId).not.toBe(first.start.startId);
});

test("a clock that went back does not take the incarnation back", async () => {
  await openIdentity(folder, 5_000);
  await persistIncarnation(folder, 9_000);
  expect((await openIdentity(folder, 1)).start.incarnation).toBe(9_001);
});

test("the incarnation is on disk before it is returned, and the key is ours alone", async () => {
  const { start } = await openIdentity(folder, 5_000);
  expect(Number(await readFile(join(folder, "mesh-incarnation"), "utf8"))).toBe(start.incarnation);
  expect((await stat(join(folder, "mesh-key"))).mode & 0o777).toBe(0o600);
});

test("a broken key is an error that names the file, not another member", async () => {
  await openIdentity(folder, 5_000);
  await writeFile(join(folder, "mesh-key"), "garbage");
  await expect(openIdentity(folder, 6_000)).rejects.toThrow(/mesh-key is no key .*restore it from a copy/);
});

test.each(["", "garbage", "-1", "1e400", `${2 ** 52}`, `${2 ** 53 - 1}`])(
  "an incarnation file with %j in it counts as lost: the clock goes on",
  async (text) => {
    await openIdentity(folder, 5_000);
    await writeFile(join(folder, "mesh-incarnation"), text);
    expect((await openIdentity(folder, 6_000)).start.incarnation).toBe(6_001);
  },
);
