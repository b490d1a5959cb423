import { afterEach, beforeEach, expect, test } from "vitest";
import { appKey, appName, encodeAppRecord, type Mesh } from "../../mesh/index.ts";
import { StandInVoter } from "../../mesh/sim/stand-in-voter.ts";
import { ask } from "../testing/client.ts";
import { answering, appRecord, desiredVm, TestCluster, type TestProxy } from "../testing/cluster.ts";

const HELLO = appKey(appName("hello"));
/** Of a record that would take the app off the air. */
const NOTHING = appRecord({ vms: [] });

let cluster: TestCluster;
/** A member like any other, and no voter. */
let stranger: Mesh;
let proxy: TestProxy;
beforeEach(async () => {
  cluster = new TestCluster();
  stranger = cluster.hostNamed("host-9");
  const { port } = await cluster.upstream(answering("one"));
  proxy = await cluster.serve({ "hello-v1-1": port });
});
afterEach(async () => {
  await cluster.close();
});

async function metricsOf({ admin }: TestProxy): Promise<string> {
  return (await fetch(`${admin}/metrics`)).text();
}

async function routesOf({ admin }: TestProxy): Promise<unknown> {
  return (await fetch(`${admin}/v1/routes`)).json();
}

/** Resolves when the proxy has seen what `owner` wrote. */
async function written(owner: Mesh, value: Uint8Array): Promise<void> {
  owner.write(HELLO, value);
  const { promise, resolve } = Promise.withResolvers<void>();
  const unsubscribe = proxy.mesh.onChange((change) => {
    if (change.owner === owner.self.owner && change.key === HELLO) resolve();
  });
  await promise.finally(unsubscribe);
}

test("a record counts whoever's entry it is in, if a majority of the voters signed it", async () => {
  const other = await cluster.upstream(answering("two"));
  cluster.writeVm("hello-v2-1", other.port);
  stranger.write(HELLO, cluster.voter.certified(7, appRecord({ vms: [desiredVm("hello-v2-1")] })));
  await cluster.waitForAck(({ verified }) => verified === 7);
  expect(await ask({ port: proxy.port })).toMatchObject({ status: 200, body: "two" });
});

test.each<readonly [what: string, reason: string, forge: () => Uint8Array]>([
  [
    "that somebody else signed in the voter's name",
    "bad-signature",
    () => new StandInVoter(stranger).certified(9, NOTHING),
  ],
  [
    "of another cluster, whose voter has the same key",
    "bad-signature",
    () => new StandInVoter(cluster.host, { cluster: "another" }).certified(9, NOTHING),
  ],
  [
    "of another app",
    "bad-signature",
    () => cluster.voter.certify(appKey(appName("other")), 9, encodeAppRecord(NOTHING)),
  ],
  ["of an older epoch", "stale", () => cluster.voter.certified(1, NOTHING)],
  [
    "by voters of whom nobody told",
    "unknown-list",
    () => new StandInVoter(cluster.host, { number: 2 }).certified(9, NOTHING),
  ],
  ["that is no record at all", "unreadable", () => new Uint8Array([0xc1])],
])("a record %s is refused and counted, and the table stays", async (_what, reason, forge) => {
  // Of which there is an older one.
  const epoch = cluster.commit({ vms: [desiredVm("hello-v1-1")] });
  await cluster.waitForAck(({ applied }) => applied === epoch);
  const before = await routesOf(proxy);
  await written(stranger, forge());
  expect(await routesOf(proxy)).toEqual(before);
  expect(await ask({ port: proxy.port })).toMatchObject({ status: 200, body: "one" });
  const metrics = await metricsOf(proxy);
  expect(metrics).toContain(`grapevine_register_refused_record_${reason.replaceAll("-", "_")}_total 1\n`);
  expect(metrics).toContain("grapevine_proxy_refused_records_total 1\n");
});

test("a record of a former voter is refused once others were named, and what it had signed before stays", async () => {
  const former = cluster.voter;
  cluster.nameVoters(["host-2"], 2);
  const before = await routesOf(proxy);
  await written(stranger, former.certified(9, NOTHING));
  expect(await routesOf(proxy)).toEqual(before);
  expect(await metricsOf(proxy)).toContain("grapevine_register_refused_record_former_list_total 1\n");
  expect(await ask({ port: proxy.port })).toMatchObject({ status: 200, body: "one" });
  await written(cluster.host, cluster.voter.certified(2, NOTHING));
  expect(await ask({ port: proxy.port })).toMatchObject({ status: 503 });
});

test("a record that fewer than a majority signed is refused", async () => {
  cluster.nameVoters(["host-1", "host-2", "host-3"], 2);
  const alone = new StandInVoter(cluster.host, { number: 2 });
  const before = await routesOf(proxy);
  await written(stranger, alone.certified(9, NOTHING));
  expect(await routesOf(proxy)).toEqual(before);
  expect(await metricsOf(proxy)).toContain("grapevine_register_refused_record_too_few_signatures_total 1\n");
});
