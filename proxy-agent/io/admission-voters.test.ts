import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  encodeRecord,
  encodeRegisterReadAnswer,
  type MemberView,
  type Mesh,
  proxyKey,
  REGISTER_READ_SERVICE,
  Registers,
} from "../../mesh/index.ts";
import { STAND_IN_CLUSTER, StandInVoter } from "../../mesh/sim/stand-in-voter.ts";
import { AckState } from "../core/ack-state.ts";
import { ask } from "../testing/client.ts";
import { answering, appRecord, desiredVm, inPieces, silent, TestCluster } from "../testing/cluster.ts";
import { type AdmissionDeps, tryAdmission } from "./admission.ts";
import { RouteFeed } from "./route-feed.ts";

const VOTERS = ["host-1", "host-2", "host-3"];
const NEVER = new AbortController().signal;

let cluster: TestCluster;
let joined: Joined[];
beforeEach(() => {
  cluster = new TestCluster({ voters: [] });
  joined = [];
});
afterEach(async () => {
  for (const { mesh, feed } of joined) {
    feed.stop();
    await mesh.stop();
  }
  await cluster.close();
});

/** A proxy as far as admission goes. */
interface Joined extends AdmissionDeps {
  /** Null: admitted. */
  readonly attempt: () => Promise<string | null>;
}

/** `dead`: as it judges. */
function join(dead: readonly string[] = []): Joined {
  const mesh = cluster.hub.join({ name: "proxy-1", role: "proxy" });
  holdDead(mesh, dead);
  const registers = new Registers({ cluster: STAND_IN_CLUSTER }, { mesh, logger: silent });
  const feed = new RouteFeed({ mesh, apps: registers.apps, acks: new AckState(), logger: silent });
  registers.start();
  feed.start();
  const key = proxyKey(mesh.self.name);
  const registration = { key, version: mesh.write(key, encodeRecord({ format: 1 })) };
  mesh.announce();
  const deps = { mesh, registers, feed, logger: silent };
  const proxy = { ...deps, attempt: () => tryAdmission({ registration }, deps, NEVER) };
  joined.push(proxy);
  return proxy;
}

/** A mesh in memory declares nobody dead by itself. */
function holdDead(mesh: Mesh, dead: readonly string[]): void {
  const members = mesh.members.bind(mesh);
  const judged = (member: MemberView): MemberView =>
    dead.includes(member.name)
      ? { ...member, connected: false, liveness: { state: "dead", sinceMs: 0, why: "as the test says" } }
      : member;
  mesh.members = () => members().map(judged);
}

/** That voter answers every question with this error until the returned function is called. */
function failingReads(name: string, error: string): () => void {
  const mesh = cluster.hostNamed(name);
  // biome-ignore lint/correctness/useYield: it has nothing to answer
  mesh.handle(REGISTER_READ_SERVICE, async function* () {
    throw new Error(error);
  });
  return () => mesh.handle(REGISTER_READ_SERVICE, (request, from) => cluster.answerRead(mesh, request, from));
}

/** Once the first voter has answered with its records, and before that answer has ended. */
function changeAfterRead(change: () => void): void {
  const mesh = cluster.hostNamed("host-1");
  mesh.handle(REGISTER_READ_SERVICE, async function* (request, from) {
    yield* cluster.answerRead(mesh, request, from);
    if (cluster.registerReads.length === 1) change();
  });
}

describe("an attempt at admission", () => {
  test("waits for a voter that lives and does not hold the registration, and names it", async () => {
    cluster.nameVoters(VOTERS);
    const answer = failingReads("host-3", "host-3 does not hold proxy/proxy-1 at 1:1:2 yet");
    const { attempt } = join();
    expect(await attempt()).toMatch(
      /^voters do not know of this proxy yet: host-3: .*host-3 does not hold proxy\/proxy-1/,
    );
    expect(cluster.registerReads).toEqual([]);
    answer();
    expect(await attempt()).toBe(null);
    expect(cluster.registerReads).toEqual(["host-1"]);
    for (const name of VOTERS) expect(cluster.hostNamed(name).store.list("proxy/")).toHaveLength(1);
  });

  test("waits for the connection to a voter that lives, and names it", async () => {
    cluster.nameVoters(VOTERS);
    const { mesh, attempt } = join();
    cluster.hub.disconnect(cluster.hostNamed("host-2"), mesh);
    expect(await attempt()).toBe(
      "no connection to host-2: a voter that lives may drive a deploy that does not count on this proxy",
    );
    cluster.hub.reconnect(cluster.hostNamed("host-2"), mesh);
    expect(await attempt()).toBe(null);
  });

  test("does not wait for a voter that is dead, as long as a majority lives", async () => {
    cluster.nameVoters(VOTERS);
    expect(await join(["host-1"]).attempt()).toBe(null);
    expect(cluster.registerReads).toEqual(["host-2"]);
  });

  test("names those that are missing for a majority", async () => {
    cluster.nameVoters(VOTERS);
    expect(await join(["host-1", "host-3"]).attempt()).toBe(
      "no majority of the voters (host-1, host-2, host-3) can be reached: no connection to host-1, host-3",
    );
  });

  test("begins anew when a voter that was dead lives again by its end", async () => {
    cluster.nameVoters(VOTERS);
    const dead = ["host-3"];
    const { attempt } = join(dead);
    const mesh = cluster.hostNamed("host-1");
    mesh.handle(REGISTER_READ_SERVICE, (request, from) => {
      dead.length = 0;
      return cluster.answerRead(mesh, request, from);
    });
    expect(await attempt()).toBe("host-3 lives again, and was not told of this proxy");
    expect(await attempt()).toBe(null);
  });

  test.each<readonly [when: string, at: (proxy: Joined, change: () => void) => void]>([
    ["while it reads", (_proxy, change) => changeAfterRead(change)],
    ["when the records are there", ({ feed }, change) => feed.onTable(change)],
  ])("begins anew when there is a newer list of voters %s", async (_when, at) => {
    cluster.nameVoters(["host-1"]);
    cluster.commitUntold({ vms: [] });
    const answer = failingReads("host-2", "not yet");
    const proxy = join();
    at(proxy, () => cluster.nameVoters(["host-1", "host-2"], 2));
    expect(await proxy.attempt()).toBe("the voters have changed meanwhile");
    expect(await proxy.attempt()).toBe("voters do not know of this proxy yet: host-2: not yet");
    answer();
    expect(await proxy.attempt()).toBe(null);
  });

  test("reads at the next voter when the first fails, and says why none would do", async () => {
    cluster.nameVoters(VOTERS);
    cluster.commitUntold({ vms: [] });
    const failFor = (name: string) => {
      const mesh = cluster.hostNamed(name);
      mesh.handle(REGISTER_READ_SERVICE, async function* (request, from) {
        yield* cluster.answerRead(mesh, request, from);
        if (cluster.registerReads.includes(mesh.self.name)) throw new Error("no majority answers");
      });
    };
    failFor("host-1");
    const { attempt, feed } = join();
    expect(await attempt()).toBe(null);
    expect(cluster.registerReads).toEqual(["host-1", "host-2"]);
    expect([...feed.table.apps.keys()]).toEqual(["hello"]);
  });

  test("does not take a record that the voters did not sign, and says which", async () => {
    cluster.nameVoters(["host-1"]);
    const mesh = cluster.hostNamed("host-1");
    const forged = new StandInVoter(cluster.hostNamed("host-9")).certified(4, appRecord({ vms: [] }));
    mesh.handle(REGISTER_READ_SERVICE, () =>
      (async function* () {
        yield* inPieces(encodeRegisterReadAnswer([{ key: "app/hello", value: forged }]));
      })(),
    );
    const { attempt, feed } = join();
    expect(await attempt()).toBe(
      "the records cannot be read: host-1: its record app/hello is refused: bad-signature",
    );
    expect(feed.table.serial).toBe(0);
  });

  test("takes what gossip brought meanwhile for at least as good as what the voter had read", async () => {
    cluster.nameVoters(["host-1"]);
    const mesh = cluster.hostNamed("host-1");
    cluster.commit({ vms: [] });
    const old = cluster.certified();
    cluster.commit({ vms: [] });
    mesh.handle(REGISTER_READ_SERVICE, () =>
      (async function* () {
        yield* inPieces(encodeRegisterReadAnswer(old));
      })(),
    );
    const { attempt, registers } = join();
    expect(await attempt()).toBe(null);
    expect(registers.metrics()).not.toHaveProperty("refused-record-stale");
  });

  test("without a voter says that none is known, and whom it asked", async () => {
    const { attempt, mesh } = join();
    expect(await attempt()).toBe(
      "no voters are known yet: host-1 did not name any; `grapevine voters` on a host shows them",
    );
    cluster.hub.disconnect(cluster.host, mesh);
    expect(await attempt()).toBe("no voters are known yet: no host of the cluster can be reached");
  });
});

test("a proxy of a cluster that gets its voters only later serves from then on", async () => {
  const vm = await cluster.upstream(answering("one"));
  cluster.writeVm("hello-v1-1", vm.port);
  const registered = Promise.withResolvers<void>();
  cluster.host.onChange(({ key }) => {
    if (key === "proxy/proxy-1") registered.resolve();
  });
  let isServing = false;
  const starting = cluster.proxy().finally(() => {
    isServing = true;
  });
  await registered.promise;
  expect(isServing).toBe(false);
  cluster.nameVoters(VOTERS);
  cluster.commitUntold({ vms: [desiredVm("hello-v1-1")] });
  const { port } = await starting;
  expect(await ask({ port })).toMatchObject({ status: 200, body: "one" });
});
