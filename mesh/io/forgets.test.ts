import { cp, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { FORGET_PREFIX } from "../core/forget-entry.ts";
import { forgetCompliance } from "../sim/forget-compliance.ts";
import { Libp2pCluster } from "../sim/libp2p-cluster.ts";
import { untilFull, untilSeen } from "../sim/until.ts";
import { FORGET_FILE } from "./forget-file.ts";
import type { RunningMesh } from "./mesh-options.ts";

forgetCompliance("libp2p mesh", () => Libp2pCluster.create());

let cluster: Libp2pCluster;

beforeEach(async () => {
  cluster = await Libp2pCluster.create();
});
afterEach(() => cluster.dispose());

async function start(...names: readonly string[]): Promise<readonly RunningMesh[]> {
  const meshes: RunningMesh[] = [];
  for (const name of names) {
    const mesh = await cluster.join(name, "host");
    mesh.announce();
    meshes.push(mesh);
  }
  await untilFull(meshes);
  return meshes;
}

/** They hold each other's entries, those of `gone` too, which stops. */
async function lose(gone: RunningMesh, others: readonly RunningMesh[]): Promise<void> {
  gone.write("vm/a", new Uint8Array([1]));
  for (const mesh of others) await untilSeen(mesh, () => holds(mesh, gone));
  await gone.stop();
}

function holds(mesh: RunningMesh, gone: RunningMesh): boolean {
  return mesh.store.head(gone.self.owner) !== undefined;
}

function words(mesh: RunningMesh): number {
  return mesh.store.list(FORGET_PREFIX).length;
}

test("who is forgotten stays so when all restart, and one of them with a disk of before", async () => {
  const [teller, straggler, gone] = (await start("host-1", "host-2", "host-3")) as [
    RunningMesh,
    RunningMesh,
    RunningMesh,
  ];
  await lose(gone, [teller, straggler]);
  // Its snapshot has all; it is away when the word is said.
  await straggler.stop();
  const before = `${cluster.stateDir("host-2")}-before`;
  await cp(cluster.stateDir("host-2"), before, { recursive: true });
  await teller.forget(gone.self.owner);
  await teller.stop();

  const [again, back] = (await start("host-1", "host-2")) as [RunningMesh, RunningMesh];
  expect(holds(again, gone)).toBe(false);
  await untilSeen(back, () => words(back) === 1);
  expect(holds(back, gone)).toBe(false);
  await back.stop();

  // Once more, with the disk of before: what it holds is stale, and gone once it heard the word.
  await rm(cluster.stateDir("host-2"), { recursive: true });
  await cp(before, cluster.stateDir("host-2"), { recursive: true });
  const old = await cluster.join("host-2", "host");
  expect(holds(old, gone)).toBe(true);
  old.announce();
  await untilSeen(old, () => !holds(old, gone));
  await old.sync(again.self.owner, new AbortController().signal);
  expect([holds(again, gone), holds(old, gone)]).toEqual([false, false]);
});

test("what a forgotten member had said of others is said on by who forgot it", async () => {
  const [first, second, third, last] = (await start("host-1", "host-2", "host-3", "host-4")) as [
    RunningMesh,
    RunningMesh,
    RunningMesh,
    RunningMesh,
  ];
  await lose(last, [first, second, third]);
  await second.forget(last.self.owner);
  await untilSeen(first, () => words(first) === 1);
  await second.stop();
  await first.forget(second.self.owner);
  expect(first.store.list(FORGET_PREFIX).map(({ owner }) => owner)).toEqual(Array(2).fill(first.self.owner));
  await untilSeen(third, () => third.forgotten().length === 2);
  expect(
    third
      .forgotten()
      .map(({ name }) => name)
      .sort(),
  ).toEqual(["host-2", "host-4"]);
});

test("one that lives and was forgotten by mistake is back by itself, with all that it writes", async () => {
  const [first, second] = (await start("host-1", "host-2")) as [RunningMesh, RunningMesh];
  second.write("vm/a", new Uint8Array([1]));
  await untilSeen(first, () => first.store.get(second.self.owner, "vm/a") !== undefined);
  const { incarnation } = first.store.head(second.self.owner)!;
  await first.forget(second.self.owner);
  await untilSeen(
    first,
    () => (first.store.get(second.self.owner, "vm/a")?.version.incarnation ?? 0) > incarnation,
  );
  // Of no use any more.
  await untilSeen(first, () => words(first) === 0);
});

test("a word whose disk fails is not said", async () => {
  const [first, second] = (await start("host-1", "host-2")) as [RunningMesh, RunningMesh];
  await lose(second, [first]);
  await rm(cluster.stateDir("host-1"), { recursive: true });
  await expect(first.forget(second.self.owner)).rejects.toThrow("ENOENT");
  expect(words(first)).toBe(0);
  expect(holds(first, second)).toBe(true);
});

test("a file that cannot be read is set aside, and the member starts", async () => {
  const mesh = await cluster.join("host-1", "host");
  await mesh.stop();
  const folder = cluster.stateDir("host-1");
  await writeFile(join(folder, FORGET_FILE), "no msgpack");
  const again = await cluster.join("host-1", "host");
  expect(again.forgotten()).toEqual([]);
  expect(await readdir(folder)).toContain(`${FORGET_FILE}.broken`);
});
