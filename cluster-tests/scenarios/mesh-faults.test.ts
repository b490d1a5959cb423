// What befalls real members: each test ends with equal values at all, and at no event was an invariant broken
// (`harness/change-watch.ts`). FAULTS_SEED=N repeats what is random here; when a process is killed is the machine's to say.

import { afterAll, afterEach, expect, test } from "vitest";
import { compareVersions } from "../../mesh/index.ts";
import { seededRandom } from "../../mesh/sim/seeded-random.ts";
import type { MeshProcess } from "../harness/mesh-process.ts";
import { MeshProcesses, type Texts } from "../harness/mesh-processes.ts";
import { burstText, type HeldEntry, valueHash } from "../harness/mesh-protocol.ts";

const HOUR_MS = 60 * 60 * 1_000;
const YEAR_MS = 365 * 24 * HOUR_MS;
/** Says that a test hangs; each wait says what it lacks before. */
const HANG_MS = 60_000;
const FOUR = ["a", "b", "c", "d"] as const;
const THREE = ["a", "b", "c"] as const;

const seed = Number(process.env["FAULTS_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
process.stdout.write(`mesh faults: FAULTS_SEED=${seed}\n`);

const clusters = new Set<MeshProcesses>();
/** Of the test before, which ended well. */
let handedOn: MeshProcesses | undefined;
afterEach(async () => {
  const over = [...clusters].filter((cluster) => cluster !== handedOn);
  for (const cluster of over) clusters.delete(cluster);
  await Promise.all(over.map((cluster) => cluster.dispose()));
});
afterAll(() => handedOn?.dispose());

async function create(...args: Parameters<typeof MeshProcesses.create>): Promise<MeshProcesses> {
  const cluster = await MeshProcesses.create(...args);
  clusters.add(cluster);
  return cluster;
}

/** From its first life on `a` is an hour above the clock: no later one rises by the clock alone. */
async function createThree(): Promise<MeshProcesses> {
  const cluster = await create(THREE);
  await Promise.all([
    cluster.start("a", life("a", "at first"), HOUR_MS),
    cluster.startAll((name) => life(name, "at first"), ["b", "c"]),
  ]);
  await cluster.expectEqual();
  return cluster;
}

/** Three that run and are equal: those of the test before, else new ones. Each test has jobs of its own: what was deleted is not written again. */
function testThree(name: string, body: (cluster: MeshProcesses) => Promise<void>): void {
  test(
    name,
    async () => {
      const cluster = handedOn ?? (await createThree());
      handedOn = undefined;
      await body(cluster);
      handedOn = cluster;
    },
    HANG_MS,
  );
}

function pick(from: number, to: number): number {
  return from + Math.floor(seededRandom(seed)() * (to - from));
}

function shuffled<Item>(items: readonly Item[]): readonly Item[] {
  const random = seededRandom(seed);
  return items
    .map((item) => ({ item, at: random() }))
    .sort((left, right) => left.at - right.at)
    .map(({ item }) => item);
}

const KEYS = 50;

/** Routes `vm/0` … as a member writes them at one time, and jobs, which it may delete. */
function life(name: string, when: string, jobs: readonly number[] = []): Texts {
  const keys = [...Array.from({ length: KEYS }, (_, at) => `vm/${at}`), ...jobs.map((job) => `job/${job}`)];
  return Object.fromEntries(keys.map((key) => [key, `${name} ${when}`]));
}

/** Of `owner`, at `observer`. */
function incarnationAt(observer: MeshProcess, owner: string): number {
  return observer.watch.newest(owner)?.incarnation ?? 0;
}

/** All hold the owner's life that began last, and it is above `below`. */
function expectRisen(cluster: MeshProcesses, owner: string, below: number): void {
  for (const member of cluster.members) expect(incarnationAt(member, owner)).toBeGreaterThan(below);
}

const GRACE_MS = 300;

test(
  "a partition longer than the grace of tombstones, deletions on both sides: nothing comes back",
  async () => {
    const cluster = await create(FOUR, { tombstoneGraceMs: GRACE_MS });
    await cluster.startAll((name) => life(name, "at first", [1, 2, 3, 4]));
    await cluster.expectEqual();
    const sides = [
      ["a", "b"],
      ["c", "d"],
    ] as const;
    cluster.part(...sides, "hole");
    for (const [index, [deletes, watches]] of sides.entries()) {
      await cluster.write(deletes, { "job/1": null, [`job/${2 + index}`]: null, "vm/0": "in the partition" });
      await cluster.write(watches, { "job/4": null, "vm/0": "in the partition" });
    }
    await cluster.untilParted(...sides);
    // Three of this side, at each that holds them: what is left knows nothing of them any more.
    for (const name of FOUR) await cluster.untilCounted(name, "tombstones-collected", 3);
    for (const [here, there] of [sides, sides.toReversed()] as const) {
      const [deletes, watches] = here.map((name) => cluster.member(name).owner);
      for (const name of there) {
        expect(cluster.shows(name, deletes ?? "", "job/1", `${here[0]} at first`)).toBe(true);
        expect(cluster.shows(name, watches ?? "", "job/4", `${here[1]} at first`)).toBe(true);
      }
    }
    cluster.heal();
    await cluster.expectEqual();
    // Another round of all with all: what is held somewhere would have its way by now.
    for (const name of FOUR) await cluster.write(name, { "job/after": "healed" });
    await cluster.expectEqual();
  },
  HANG_MS,
);

const ROUTES = 500;
/** Half a kilobyte each: together more than one gossip message carries, and more than sixty deltas of 4 KiB. */
const ROUTE_PADDING = "x".repeat(400);
const DELTA_BYTES_MAX = 4 * 1024;
const DELTAS_MIN = 60;
const LOAD_WRITES_MIN = 50;

function routes(generation: number): Texts {
  const entries = Array.from({ length: ROUTES }, (_, at) => [
    `vm/${at}`,
    `${generation} ${at} ${ROUTE_PADDING}`,
  ]);
  return Object.fromEntries(entries);
}

test(
  "an owner of 500 routes restarts under load with deltas of 4 KiB, and one joins: no route is away at any event",
  async () => {
    const cluster = await create(FOUR, { deltaBytesMax: DELTA_BYTES_MAX });
    await cluster.start("a", routes(1));
    const observers = await Promise.all(["b", "c"].map((name) => cluster.start(name)));
    await cluster.expectEqual();
    const deltasBefore = observers.map(({ metrics }) => metrics["deltas-applied"] ?? 0);
    const eventsBefore = observers.map(({ watch }) => watch.routes.length);
    let isLoading = true;
    // Each writes on when the other has seen what it wrote.
    const load = async ({ name, owner }: MeshProcess, index: number): Promise<number> => {
      const other = observers[1 - index]?.name ?? "";
      let writes = 0;
      for (; isLoading; writes += 1) {
        const [key, text] = [`job/${writes % 20}`, `${writes}`];
        await cluster.write(name, { [key]: text });
        await cluster.until(`load at ${other}`, () => cluster.shows(other, owner, key, text));
      }
      return writes;
    };
    const loads = Promise.all(observers.map(load));
    // Of a test that fails elsewhere: it is awaited below.
    loads.catch(() => undefined);
    await cluster.kill("a");
    const [joiner] = await Promise.all([cluster.start("d"), cluster.start("a", routes(2))]);
    await cluster.untilShown("a", ["b", "c", "d"]);
    isLoading = false;
    for (const writes of await loads) expect(writes).toBeGreaterThan(LOAD_WRITES_MIN);
    await cluster.expectEqual();
    for (const [index, { watch, metrics }] of observers.entries()) {
      // Else nothing was cut, or nothing went on beside it.
      expect((metrics["deltas-applied"] ?? 0) - (deltasBefore[index] ?? 0)).toBeGreaterThan(DELTAS_MIN);
      const counts = watch.routes.slice(eventsBefore[index]);
      expect(counts.length).toBeGreaterThan(ROUTES);
      expect(new Set(counts)).toEqual(new Set([ROUTES]));
    }
    expect(new Set(joiner.watch.routes)).toEqual(new Set([0, ROUTES]));
  },
  HANG_MS,
);

testThree("rolling restart of all, stopped or killed, while the others write and delete", async (cluster) => {
  for (const name of THREE) await cluster.write(name, life(name, "before it is rolled", [1, 2, 3]));
  await cluster.expectEqual();
  const before = new Map(cluster.members.map(({ name, owner, watch }) => [name, watch.newest(owner)]));
  for (const [at, name] of shuffled(THREE).entries()) {
    await (at % 2 === 0 ? cluster.kill(name) : cluster.stopMember(name));
    for (const other of cluster.members)
      await cluster.write(other.name, { "vm/0": `while ${name} was down`, [`job/${at + 1}`]: null });
    // Jobs that it does not write again are deleted by that, as are those of the others that it did not see go.
    await cluster.start(name, life(name, "rolled", [5 + at]));
    await cluster.untilFull();
  }
  await cluster.expectEqual();
  for (const { name, owner } of cluster.members)
    expectRisen(cluster, owner, before.get(name)?.incarnation ?? Number.NaN);
});

testThree(
  "all killed at once and started again: what was not written again is gone, all else is everywhere",
  async (cluster) => {
    for (const name of THREE) await cluster.write(name, life(name, "before all are killed", [11, 12]));
    await cluster.expectEqual();
    const before = cluster.members.map(({ owner, watch }) => [owner, watch.newest(owner)] as const);
    await Promise.all(THREE.map((name) => cluster.kill(name)));
    await cluster.startAll((name) => life(name, "after all were killed", [12]));
    await cluster.expectEqual();
    for (const [owner, version] of before) expectRisen(cluster, owner, version?.incarnation ?? Number.NaN);
  },
);

testThree(
  "kill -9 in a burst of writes: the others agree on one moment of it, and then on what the next life writes",
  async (cluster) => {
    const [a, b, c] = THREE.map((name) => cluster.member(name)) as [MeshProcess, MeshProcess, MeshProcess];
    // It hears the rest of the burst from who was awake.
    c.freeze();
    // It ends with its writer alone.
    a.ask({ do: "burst", keys: KEYS }).catch(() => undefined);
    const killAt = pick(KEYS, 2_000);
    await cluster.until(`write ${killAt}`, () => burstWritesAt(b, a.owner) >= killAt);
    await cluster.kill("a");
    expect(burstWritesAt(c, a.owner)).toBe(0);
    c.thaw();
    await cluster.until("one moment of the burst", () => {
      const [atB, atC] = [b, c].map(({ watch }) => watch.newest(a.owner));
      return atB !== undefined && atC !== undefined && compareVersions(atB, atC) === 0;
    });
    expectMoment(b, a.owner);
    expect(routesOf(c, a.owner)).toEqual(routesOf(b, a.owner));

    await cluster.start("a", life("a", "after the burst"));
    await cluster.expectEqual();
  },
);

/** In the order of their versions. */
function routesOf({ watch }: MeshProcess, owner: string): readonly HeldEntry[] {
  const entries = [...(watch.held.get(owner)?.values() ?? [])].filter(({ key }) => key.startsWith("vm/"));
  return entries.sort((left, right) => compareVersions(left.version, right.version));
}

const burstSerials = new Map<string, number>();

/**
 * How many writes of the burst were done when the newest of those that it holds was. By what they say: the counter of a version
 * counts as well what the mesh writes of itself, as when it suspects who is frozen.
 */
function burstWritesAt(observer: MeshProcess, owner: string): number {
  const newest = routesOf(observer, owner).at(-1);
  for (let serial = burstSerials.size; serial < (newest?.version.counter ?? 0); serial += 1)
    burstSerials.set(valueHash(burstText(serial)), serial);
  return (burstSerials.get(newest?.hash ?? "") ?? -1) + 1;
}

/** All that the owner had written at its newest write that is held, in its order, and nothing of later: no hole, no mixture. */
function expectMoment(observer: MeshProcess, owner: string): void {
  const done = burstWritesAt(observer, owner);
  const last = Array.from({ length: KEYS }, (_, at) => done - KEYS + at);
  const expected = last.map((serial) => [`vm/${serial % KEYS}`, valueHash(burstText(serial))]);
  expect(routesOf(observer, owner).map(({ key, hash }) => [key, hash])).toEqual(expected);
}

testThree(
  "an old disk image put back inside a partition: what the other side holds of a later life is outdone when it heals",
  async (cluster) => {
    await cluster.write("a", life("a", "before the image", [21]));
    await cluster.expectEqual();
    const { owner } = cluster.member("a");
    const kept = incarnationAt(cluster.member("b"), owner);
    await cluster.kill("a");
    const putBack = cluster.image("a");
    // A life that the image does not know, seen by c, and above what the clock and the image will give to the next.
    cluster.part(["b"], ["a", "c"]);
    await cluster.start("a", life("a", "unknown to the image", [22]), kept + HOUR_MS - Date.now());
    await cluster.untilShown("a", ["c"]);
    await cluster.kill("a");
    putBack();
    cluster.heal();
    cluster.part(["a", "b"], ["c"]);
    await cluster.start("a", life("a", "put back", [23]));
    await cluster.untilParted(["a", "b"], ["c"]);
    await cluster.untilShown("a", ["b"]);
    const [atB, atC] = ["b", "c"].map((name) => incarnationAt(cluster.member(name), owner));
    expect(atC).toBeGreaterThan(atB ?? Number.NaN);
    expect(cluster.shows("c", owner, "job/22", "a unknown to the image")).toBe(true);
    expect(cluster.shows("c", owner, "job/23", null)).toBe(true);
    cluster.heal();
    await cluster.expectEqual();
    expectRisen(cluster, owner, atC ?? Number.NaN);
    expect(cluster.member("a").metrics["own-conflicts"]).toBeGreaterThan(0);
  },
);

testThree(
  "a clock a year ahead and back: the later life is in force, and nobody else follows the clock",
  async (cluster) => {
    const { owner } = cluster.member("a");
    const nowMs = Date.now();
    await cluster.kill("a");
    await cluster.start("a", life("a", "a year ahead", [31]), YEAR_MS);
    await cluster.expectEqual();
    expectRisen(cluster, owner, nowMs + YEAR_MS - HOUR_MS);
    const ahead = incarnationAt(cluster.member("b"), owner);

    await cluster.kill("b");
    const b = await cluster.start("b", life("b", "beside one that is ahead"));
    await cluster.kill("a");
    await cluster.start("a", life("a", "a year behind", [32]), -YEAR_MS);
    await cluster.expectEqual();
    for (const member of cluster.members) {
      expect(incarnationAt(member, owner)).toBe(ahead + 1);
      expect(incarnationAt(member, b.owner)).toBeLessThan(nowMs + HOUR_MS);
    }
    expect(cluster.member("a").metrics["own-conflicts"]).toBeUndefined();
  },
);

testThree(
  "a disk that is full while it runs: an alarm and no crash, the others' writes are heard, and it comes right",
  async (cluster) => {
    await cluster.write("a", life("a", "before its disk was full"));
    await cluster.expectEqual();
    const { owner } = cluster.member("a");
    const before = incarnationAt(cluster.member("b"), owner);
    // Its peers alone can tell it.
    expect(before).toBeGreaterThan(Date.now());
    await cluster.kill("a");
    cluster.wipeAllButKey("a");
    // Alone it cannot know that it must be above its last life; when it is told, the disk is full.
    cluster.part(["a"], ["b", "c"]);
    const a = await cluster.start("a", life("a", "alone", [41]));
    a.fillDisk();
    cluster.heal();
    await cluster.untilCounted("a", "incarnations-unwritten", 2);
    expect(a.logs).toContain("cannot write the incarnation, will retry");
    await cluster.write("b", { "job/42": "while a's disk was full" });
    await cluster.untilShown("b", ["a", "c"]);
    await cluster.write("a", { "job/43": "while the disk was full" });
    for (const observer of ["b", "c"]) {
      expect(incarnationAt(cluster.member(observer), owner)).toBe(before);
      expect(cluster.shows(observer, owner, "vm/0", "a before its disk was full")).toBe(true);
      expect(cluster.shows(observer, owner, "job/43", null)).toBe(true);
    }
    a.freeDisk();
    await cluster.expectEqual();
    expect(a.isRunning).toBe(true);
    expectRisen(cluster, owner, before);
    await cluster.kill("a");
    // What was written last is on the disk: the next life needs nobody to tell it.
    const next = await cluster.start("a", life("a", "with a disk again"));
    await cluster.expectEqual();
    expect(next.metrics["own-conflicts"]).toBeUndefined();
  },
);

testThree(
  "a lost disk: with the key it is the same member, above all that it was; without, another one beside the old",
  async (cluster) => {
    const { owner } = cluster.member("a");
    const lost = incarnationAt(cluster.member("b"), owner);
    // Its peers alone can tell it.
    expect(lost).toBeGreaterThan(Date.now());
    await cluster.kill("a");
    cluster.wipeAllButKey("a");
    const again = await cluster.start("a", life("a", "without a disk", [51]));
    await cluster.expectEqual();
    expect(again.owner).toBe(owner);
    expect(again.metrics["own-conflicts"]).toBeGreaterThan(0);
    expectRisen(cluster, owner, lost);

    const old = [...(cluster.member("b").watch.held.get(owner)?.values() ?? [])];
    await cluster.kill("a");
    cluster.wipe("a");
    const other = await cluster.start("a", life("a", "as another", [52]));
    expect(other.owner).not.toBe(owner);
    await cluster.expectEqual();
    for (const { watch } of cluster.members)
      expect([...(watch.held.get(owner)?.values() ?? [])]).toEqual(expect.arrayContaining(old));
  },
);
