// `executed-once`: POSTs from 1 B to 100 MB through a real proxy and a real gate, with the connection cut at each kind of place on each
// of the three ways (client to proxy, proxy to gate, gate to VM), and the record changed at each moment of a request's life. Each
// ran once, or was told as failed; and what could be tried again without running twice was.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { seededRandom } from "../../mesh/sim/seeded-random.ts";
import { REPLAY_BYTES_MAX } from "../limits.ts";
import { appRecord, desiredVm, type RecordOptions, TestCluster, type TestProxy } from "../testing/cluster.ts";
import { type Cut, CuttingRelay } from "../testing/cutting-relay.ts";
import { TestGate } from "../testing/gate.ts";
import { ANSWER_BYTES, type Answered, hashOfBody, Post, Runs } from "../testing/posts.ts";

const SEED = Number(process.env["ONCE_SEED"] ?? 1);
const V1 = "hello-v1-1";
const V2 = "hello-v2-1";
const MB = 1024 * 1024;
/** One byte; around what may leave before a gate claims; what it may not; and a size of the seed. */
const SIZES = [
  1,
  REPLAY_BYTES_MAX - 1,
  REPLAY_BYTES_MAX,
  REPLAY_BYTES_MAX + 1,
  2 * REPLAY_BYTES_MAX + Math.floor(seededRandom(SEED)() * 10 * REPLAY_BYTES_MAX),
];
const LARGE = 100 * MB;
const LINKS = ["client to proxy", "proxy to gate", "gate to VM"] as const;
type Link = (typeof LINKS)[number];

interface Flip {
  readonly from: string;
  readonly to: string;
  /** The proxy hears of it by the mesh; else by the gate alone. */
  readonly isTold: boolean;
}

let cluster: TestCluster;
let gate: TestGate;
let proxy: TestProxy;
let relays: Readonly<Record<Link, CuttingRelay>>;
const runs = new Runs();
let posts = 0;

beforeAll(async () => {
  cluster = new TestCluster();
  gate = new TestGate(cluster);
  const vm = await cluster.upstream(runs.vm(V1));
  const fresh = await cluster.upstream(runs.vm(V2));
  const gatePort = await gate.start();
  proxy = await cluster.proxy();
  relays = {
    "client to proxy": await CuttingRelay.start(() => proxy.port),
    "proxy to gate": await CuttingRelay.start(() => gatePort),
    "gate to VM": await CuttingRelay.start(() => vm.port),
  };
  gate.announce(relays["proxy to gate"].port);
  gate.place({ [V1]: relays["gate to VM"].port, [V2]: fresh.port });
  cluster.writeVm(V1, vm.port);
  cluster.writeVm(V2, fresh.port);
  gate.open();
  await serveBy([V1]);
});
afterAll(async () => {
  for (const relay of Object.values(relays)) await relay.stop();
  await gate.close();
  await cluster.close();
});

function flipped({ from, to }: Pick<Flip, "from" | "to">): RecordOptions {
  return { vms: [desiredVm(from, "cordoned"), desiredVm(to)] };
}

/** All requests go to another VM than before, and what runs at that one is finished. Resolves to the epoch, once its gate closed it. */
async function flip({ from, to, isTold }: Flip): Promise<number> {
  const options = flipped({ from, to });
  const epoch = isTold ? gate.commit(options) : cluster.commitUntold(options);
  if (isTold) await cluster.waitForAck(({ applied }) => applied === epoch);
  else gate.tellRecord(epoch, options);
  await gate.waitForStanding((standing) => standing.epoch === epoch);
  return epoch;
}

/** Proxy and gate go by a record that sends requests to these VMs, and the proxy has asked all that it wants to know of them by itself. */
async function serveBy(vms: readonly string[]): Promise<void> {
  const epoch = gate.commit({ vms: vms.map((vm) => desiredVm(vm)) });
  await cluster.waitForAck(({ verified }) => verified === epoch);
  await gate.waitForStanding((standing) => standing.epoch === epoch);
}

function newPost(bytes: number, isChunked = false): Post & { readonly id: string } {
  posts += 1;
  const id = `post-${posts}`;
  return Object.assign(new Post(relays["client to proxy"].port, { id, bytes, isChunked }), { id });
}

/** What holds of every post, however it went. */
function expectOnce(id: string, bytes: number, answered: Answered, what: string): void {
  const ran = runs.of(id);
  expect([200, 502, null], what).toContain(answered.status);
  expect(ran.length, `${what}: ran at ${ran.join(" and ")}`).toBeLessThanOrEqual(1);
  if (answered.status !== 200) return;
  expect(ran, what).toEqual([answered.vm]);
  expect(answered.hash, what).toBe(hashOfBody(bytes));
}

/** Where a request of that size is cut. The answer to it has ANSWER_BYTES. */
function placesOf(bytes: number, link: Link): readonly Omit<Cut, "how">[] {
  const inBody = [1, bytes >> 1, bytes - 1, REPLAY_BYTES_MAX - 1, REPLAY_BYTES_MAX, REPLAY_BYTES_MAX + 1];
  const random = seededRandom(SEED + bytes);
  const sampled = [1, 2].map(() => Math.floor(random() * bytes));
  const there = [-1, 0, ...inBody, ...sampled].filter((at) => at < bytes);
  const isClaimed = link === "proxy to gate" && bytes > REPLAY_BYTES_MAX;
  return [
    ...[0, 1].map((at) => ({ way: "there", from: "start", bytes: at }) as const),
    ...[...new Set(there), bytes].map((at) => ({ way: "there", from: "head", bytes: at }) as const),
    ...(isClaimed ? [-1, 0] : []).map((at) => ({ way: "back", from: "claim", bytes: at }) as const),
    ...[0, 1].map((at) => ({ way: "back", from: "start", bytes: at }) as const),
    ...[-1, 0, 1, ANSWER_BYTES >> 1, ANSWER_BYTES - 1, ANSWER_BYTES].map(
      (at) => ({ way: "back", from: "head", bytes: at }) as const,
    ),
  ];
}

/** Between the boundaries of chunks of 1000 bytes, as a client sends them: their sizes, their ends, and the last one's. */
function placesInChunks(): readonly Omit<Cut, "how">[] {
  const chunk = "3e8\r\n".length + 1_000 + 2;
  const boundaries = [1, 5, 1_005, 1_006, 1_007];
  const ends = [0, 1, 2].flatMap((index) => boundaries.map((at) => index * chunk + at));
  const last = [1, 3, 4, 5].map((at) => 3 * chunk + at);
  return [...ends, ...last].map((at) => ({ way: "there", from: "head", bytes: at }));
}

/** The client has its whole answer by then; from the VM or the gate it came whole, and nothing that follows can change it. */
function isWhole({ way, from, bytes }: Cut): boolean {
  return way === "back" && from === "head" && bytes === ANSWER_BYTES;
}

/** Of a gate's refusal that carries a record of that length. */
function placesInRefusal(bytes: number): readonly Cut[] {
  const inHead = [0, 1].map((at) => ({ way: "back", how: "end", from: "start", bytes: at }) as const);
  const after = [-1, 0, 1, bytes >> 1, bytes - 1];
  return [...inHead, ...after.map((at) => ({ way: "back", how: "end", from: "head", bytes: at }) as const)];
}

async function cutPost(link: Link, cut: Cut, bytes: number, isChunked = false): Promise<void> {
  const what = `${bytes} B, ${link}, ${cut.way} ${cut.bytes} after ${cut.from}, by ${cut.how}, seed ${SEED}`;
  const relay = relays[link];
  relay.arm(cut);
  const post = newPost(bytes, isChunked);
  // One chunk after the other has to be there, lest two become one on the way.
  for (let sent = 1_000; isChunked && sent < bytes; sent += 1_000) {
    await post.sendTo(sent);
    await Promise.race([runs.until(() => runs.bytesOf(post.id) === sent), post.answered]);
  }
  const answered = await post.whole();
  expect(relay.disarm(), `${what}: the place never came by`).toBe(false);
  expectOnce(post.id, bytes, answered, what);
  // An orderly end comes after all bytes; a reset may take the last of them with it.
  if (!isWhole(cut)) expect(answered.status, what).not.toBe(200);
  else if (cut.how === "end") expect(answered.status, what).toBe(200);
}

describe("a POST whose connection is cut", () => {
  test.each(LINKS)(
    "on the way of %s, at every kind of place, ran once or was told as failed",
    async (link) => {
      for (const bytes of SIZES)
        for (const place of placesOf(bytes, link))
          for (const how of ["end", "reset"] as const) await cutPost(link, { ...place, how }, bytes);
    },
  );

  test.each(LINKS)("on the way of %s, between its chunks and in their frames, likewise", async (link) => {
    for (const place of placesInChunks()) await cutPost(link, { ...place, how: "end" }, 3_000, true);
  });

  const large = [
    { link: "client to proxy", at: LARGE / 2 },
    { link: "proxy to gate", at: LARGE - 1 },
    { link: "gate to VM", at: LARGE / 2 },
  ] as const;
  test.each(large)("of 100 MB on the way of $link after $at B, likewise", async ({ link, at }) => {
    await cutPost(link, { way: "there", from: "head", bytes: at, how: "end" }, LARGE);
  });
});

describe("a POST is tried again, and runs once,", () => {
  const inner = ["proxy to gate", "gate to VM"] as const;

  test.each(inner)("when nobody listened on the way of %s: no byte of it left", async (link) => {
    for (const bytes of SIZES) {
      const port = await relays[link].refuse();
      const post = newPost(bytes);
      const answered = post.whole();
      await relays[link].listen(port);
      expect((await answered).status).toBe(200);
      expectOnce(post.id, bytes, await answered, `${bytes} B, ${link}`);
    }
  });

  test.each(inner)("when an idle connection on the way of %s was ended before", async (link) => {
    for (const bytes of SIZES) {
      expect((await newPost(1).whole()).status).toBe(200);
      expect(relays[link].connections).toBeGreaterThan(0);
      await relays[link].endIdle();
      const post = newPost(bytes);
      const answered = await post.whole();
      expect(answered.status).toBe(200);
      expectOnce(post.id, bytes, answered, `${bytes} B, ${link}`);
    }
  });
});

describe("a POST during which its VM is closed and another one takes over", () => {
  const flips = [
    { from: V1, to: V2, isTold: true },
    { from: V2, to: V1, isTold: false },
  ] as const;

  /** Body bytes that are at the VM by then. */
  const momentsOf = (bytes: number): readonly number[] => {
    const wanted = [1, bytes >> 1, bytes - 1, REPLAY_BYTES_MAX - 1, REPLAY_BYTES_MAX, REPLAY_BYTES_MAX + 1];
    return [...new Set(wanted)].filter((at) => at > 0 && at < bytes);
  };

  async function expectAnsweredBy(
    vm: string,
    post: ReturnType<typeof newPost>,
    bytes: number,
  ): Promise<void> {
    const answered = await post.whole();
    expect(answered).toMatchObject({ status: 200, vm });
    expectOnce(post.id, bytes, answered, `${bytes} B`);
  }

  test.each(flips)(
    "is answered by one of them: before it, and once its head is out ($isTold)",
    async (one) => {
      for (const bytes of SIZES) {
        await serveBy([one.from]);
        const early = newPost(bytes);
        await flip(one);
        await expectAnsweredBy(one.to, early, bytes);
        await serveBy([one.from]);
        await flip(one);
        await expectAnsweredBy(one.to, newPost(bytes), bytes);
      }
    },
  );

  test.each(flips)("is finished where it runs, at whatever byte of its body it is ($isTold)", async (one) => {
    for (const bytes of [...SIZES, ...(one.isTold ? [] : [LARGE])])
      for (const at of bytes === LARGE ? [MB] : momentsOf(bytes)) {
        await serveBy([one.from]);
        const post = newPost(bytes);
        await post.sendTo(at);
        await runs.until(() => runs.bytesOf(post.id) === at);
        await flip(one);
        await expectAnsweredBy(one.from, post, bytes);
      }
  });

  test.each(flips)("is finished where it runs, before its answer and amid it ($isTold)", async (one) => {
    for (const bytes of SIZES)
      for (const held of ["answer", "rest"] as const) {
        await serveBy([one.from]);
        runs.hold(held);
        const post = newPost(bytes);
        await post.sendTo(bytes);
        await (held === "rest" ? post.headCame : runs.until(() => runs.bytesOf(post.id) === bytes));
        await flip(one);
        runs.release();
        await expectAnsweredBy(one.from, post, bytes);
      }
  });

  test("and whose refusal is cut: without its head it is told as failed, with it it is tried again", async () => {
    const [, { from, to }] = flips;
    for (const bytes of SIZES)
      for (const index of placesInRefusal(0).keys()) {
        await serveBy([from]);
        const epoch = await flip(flips[1]);
        const record = cluster.voter.certified(epoch, appRecord(flipped(flips[1])));
        const cut = placesInRefusal(record.length)[index] as Cut;
        relays["proxy to gate"].arm(cut);
        const post = newPost(bytes);
        const answered = await post.whole();
        const what = `${bytes} B, refusal cut ${cut.bytes} after ${cut.from}`;
        expect(relays["proxy to gate"].disarm(), what).toBe(false);
        expectOnce(post.id, bytes, answered, what);
        // A client that still sends may see its connection end before it reads the 502.
        expect(answered.status === 200, what).toBe(cut.from === "head" && cut.bytes >= 0);
        expect(runs.of(post.id), what).toEqual(answered.status === 200 ? [to] : []);
      }
  });
});
