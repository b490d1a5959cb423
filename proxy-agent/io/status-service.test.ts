import { afterEach, beforeEach, expect, test } from "vitest";
import {
  askDebugPart,
  askForRecords,
  encodeRecord,
  type MemberView,
  PROXY_STATUS_SERVICE,
  type ProxyStatusAnswer,
  proxyStatusAnswerShape,
} from "../../mesh/index.ts";
import { desiredVm, TestCluster } from "../testing/cluster.ts";

const NEVER = new AbortController().signal;

let cluster: TestCluster;
beforeEach(async () => {
  cluster = new TestCluster();
  await cluster.serve({ "hello-v1-1": 9 });
});
afterEach(() => cluster.close());

function viewOf(mesh: { members(): readonly MemberView[] }): MemberView {
  const view = mesh.members().find(({ name }) => name === "proxy-1");
  if (view === undefined) throw new Error("the proxy is a member");
  return view;
}

async function ask(vm: string | null): Promise<ProxyStatusAnswer> {
  const request = encodeRecord({ format: 1, vm });
  const question = {
    service: PROXY_STATUS_SERVICE,
    request,
    bytesMax: 10_000,
    shape: proxyStatusAnswerShape,
  };
  const answer = await askForRecords(cluster.host, viewOf(cluster.host), question, NEVER);
  if (!answer.ok) throw new Error(answer.error);
  const [status] = answer.value;
  if (status === undefined) throw new Error("no answer");
  return status;
}

test("a proxy says whether it serves, and whether it routes to a VM", async () => {
  expect(await ask(null)).toMatchObject({ serving: true, stale: false, serial: 1, vm: null });
  expect((await ask("hello-v1-1")).vm).toEqual({ isRouted: true, app: "hello", epoch: 1, why: "" });
  expect((await ask("hello-v1-2")).vm).toMatchObject({
    isRouted: false,
    why: "no app's record that is here names it",
  });
});

test("it answers by all that it was told, also what came a moment ago", async () => {
  const epoch = cluster.commit({ vms: [desiredVm("hello-v1-1", "cordoned")] });
  // Its entry is there; the table is built at the end of the turn.
  await Promise.resolve();
  const { vm, serial } = await ask("hello-v1-1");
  expect(vm).toMatchObject({ isRouted: false, epoch, why: expect.stringContaining("has cordoned it") });
  expect(serial).toBe(2);
});

test("it tells what a bug report needs of it", async () => {
  const about = await askDebugPart(cluster.host, viewOf(cluster.host), "about", NEVER);
  expect(about.ok && JSON.parse(about.value)).toMatchObject({
    pid: process.pid,
    status: { proxy: "proxy-1", serial: 1 },
  });
  const metrics = await askDebugPart(cluster.host, viewOf(cluster.host), "metrics", NEVER);
  expect(metrics.ok && metrics.value).toContain("# TYPE");
});
