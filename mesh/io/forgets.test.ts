import { cp, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { encodeForget, FORGET_PREFIX, forgetKey, forgetWordOf } from "../core/forget-entry.ts";
import { memberName, type OwnerId, ownerId } from "../core/ids.ts";
import { encodeMember, MEMBER_KEY } from "../core/member.ts";
import { OwnState } from "../core/own-state.ts";
import type { Store } from "../core/store.ts";
import { forgetCompliance } from "../sim/forget-compliance.ts";
import { Libp2pCluster } from "../sim/libp2p-cluster.ts";
import { OTHER, PEER, SELF, wordOn } from "../sim/replica-harness.ts";
import { CRYPTO, newStore } from "../sim/store-harness.ts";
import { untilFull, untilSeen } from "../sim/until.ts";
import { FORGET_FILE, type KeptWord } from "./forget-file.ts";
import { Forgets } from "./forgets.ts";
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

/** Forgets of a member, its store, and each content that was written to its file. */
class Bench {
  readonly store: Store = newStore();
  readonly written: (readonly KeptWord[])[] = [];
  isDiskFull = false;
  readonly forgets: Forgets;

  constructor() {
    const own = this.join(SELF, 1);
    this.forgets = new Forgets([], {
      file: { write: (words) => this.#write([...words]) },
      store: this.store,
      write: (key, value) => {
        own.write(key, value);
        return own.version(key)!;
      },
      logger: pino({ level: "silent" }),
    });
  }

  join(owner: OwnerId, incarnation: number): OwnState {
    const own = new OwnState(owner, { incarnation, startId: 1 }, CRYPTO);
    const [name, role] = [memberName(owner), "host"] as const;
    const record = { name, role, addresses: [], startedAtMs: 0, refutation: 0, isLeaving: false };
    own.write(MEMBER_KEY, encodeMember(record));
    this.store.install(own.state);
    return own;
  }

  said(owner: OwnerId): number | undefined {
    const entry = this.store.get(SELF, forgetKey(owner));
    return entry && forgetWordOf(entry)?.upTo.incarnation;
  }

  async #write(words: readonly KeptWord[]): Promise<void> {
    this.written.push(words);
    await Promise.resolve();
    if (this.isDiskFull) throw new Error("no space left");
  }
}

describe("the words that are kept", () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });

  test("of a member that is forgotten do not take the place of later ones of ours", async () => {
    const upTo = { incarnation: 7, startId: 1 };
    bench.join(OTHER, 7);
    await bench.forgets.say(OTHER);
    bench.store.forget(OTHER, upTo);
    const earlier = { ...upTo, incarnation: 5 };
    bench.join(PEER, 1).write(forgetKey(OTHER), encodeForget(wordOn(OTHER, earlier)));
    await bench.forgets.say(PEER);
    expect([bench.said(OTHER), bench.said(PEER)]).toEqual([7, 1]);
    expect(bench.forgets.words).toContainEqual(expect.objectContaining({ owner: OTHER, upTo }));
  });

  test("are not said on of one that has begun anew since", async () => {
    bench.join(OTHER, 7);
    const upTo = { incarnation: 5, startId: 1 };
    bench.join(PEER, 1).write(forgetKey(OTHER), encodeForget(wordOn(OTHER, upTo)));
    await bench.forgets.say(PEER);
    expect([bench.said(OTHER), bench.said(PEER)]).toEqual([undefined, 1]);
  });

  test("are not kept of one that has begun anew since, when they are heard", async () => {
    bench.join(OTHER, 7);
    bench.forgets.heard(wordOn(OTHER, { incarnation: 5, startId: 1 }));
    await bench.forgets.stop();
    expect([bench.forgets.words, bench.written]).toEqual([[], []]);
  });

  test("are those too that were heard while one of ours could not be written", async () => {
    bench.join(PEER, 1);
    bench.isDiskFull = true;
    const saying = bench.forgets.say(PEER);
    bench.forgets.heard(wordOn(OTHER, { incarnation: 5, startId: 1 }));
    await expect(saying).rejects.toThrow("no space left");
    expect(bench.forgets.words.map(({ owner }) => owner)).toEqual([OTHER]);
    await bench.forgets.stop();
  });

  test("are written together: who joins hears of many at once", async () => {
    const start = { incarnation: 5, startId: 1 };
    for (let at = 0; at < 100; at += 1) bench.forgets.heard(wordOn(ownerId(`gone-${at}`), start));
    await bench.forgets.stop();
    expect(bench.written.length).toBeLessThanOrEqual(2);
    expect(bench.written.at(-1)).toHaveLength(100);
  });
});
