// The demo's promise where each member has its own network, processes and files: one VM, redeployed under load, proxies killed,
// agents stopped, and nothing left of it all.

import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { deployBy } from "../../../node/cli/demo/deploy-folder.ts";
import { driveTraffic, writeGreeting } from "../../../node/cli/demo/drive-traffic.ts";
import { LoadClient } from "../../../node/cli/demo/load-client.ts";
import { ContainerCluster } from "../../harness/containers/cluster.ts";
import { leftovers } from "../../harness/containers/leftovers.ts";
import { MOUNTED_FOLDER } from "../../harness/containers/run.ts";
import { get } from "../../harness/get.ts";
import { until } from "../../harness/observe.ts";
import { failures, NO_FAILURES } from "../../harness/scenario.ts";

const APP_FILE = `${MOUNTED_FOLDER}/hello/app.toml`;
const HOST = "hello.localhost";
/** Before, between and after two deploys. Half of the demo's rate: the engine's network takes its share of two cores. */
const TRAFFIC = { ratePerSecond: 100, requestsBetween: 250 };
/** A VM gets 10 s to end, an agent a second to leave: what takes longer is killed, and the exit code says so. */
const GRACE_SECONDS = 20;

/** As the gate's ready file says. */
const GATE_PID = "sed -n 's/.*\"pid\":\\([0-9]*\\).*/\\1/p' /var/lib/grapevine/gate/gate.json";

const image = inject("image");

describe.skipIf(image === null)("three hosts and two proxies in containers", () => {
  let cluster: ContainerCluster;
  beforeAll(async () => {
    cluster = await ContainerCluster.start({ image: image ?? "", hosts: 3, proxies: 2 });
  });
  afterAll(() => cluster?.stop());

  test("two redeploys of one VM under load through both proxies fail no request", async ({ signal }) => {
    const report = await driveTraffic({
      targets: await Promise.all(["proxy-1", "proxy-2"].map((proxy) => cluster.url(proxy))),
      folder: join(cluster.run.folder, "hello"),
      deploy: () =>
        deployBy({
          runDeploy: async () => {
            const { code, stdout, stderr } = await cluster.grapevine(["deploy", APP_FILE, "--json"]);
            return { exitCode: code ?? 1, output: stdout + stderr };
          },
          viewOf: (app) => cluster.view(app),
        }),
      ...TRAFFIC,
      say: (line) => process.stdout.write(`${line}\n`),
      signal,
    });
    const { cpuSeconds, residentBytes } = await cluster.member("host-1").usage();
    const memory = `${Math.round(residentBytes / 2 ** 20)} MiB`;
    process.stdout.write(
      `${report.text}host-1: ${cpuSeconds.toFixed(1)} s of CPU, ${memory} resident, its VM included\n`,
    );
    expect(report.exitCode, report.text).toBe(0);
    expect(report.json).toMatchObject({ failed: 0, deploys: [{ exitCode: 0 }, { exitCode: 0 }] });
    // All of them went through gates, which tell their counts every 2 s.
    const requests = Number(report.json["requests"]);
    expect(requests).toBeGreaterThan(2 * TRAFFIC.requestsBetween);
    await until("the gates' counts", async () => ((await cluster.gateRequests()) >= requests ? true : null));
    expect(cpuSeconds).toBeGreaterThan(0);
    expect(residentBytes).toBeGreaterThan(0);
  });

  test("kill of a proxy holds a deploy up until it is back; clients of the other see nothing of it", async () => {
    const other = await cluster.url("proxy-2");
    const clients = { host: HOST, path: "/", ratePerSecond: 50, connections: "both" } as const;
    const client = new LoadClient({ ...clients, targets: [other] });
    await cluster.member("proxy-1").kill();
    writeGreeting(join(cluster.run.folder, "hello"), "back");
    const command = ["grapevine", "deploy", APP_FILE];
    const deploy = cluster.member("host-2").startExec(command, { input: "" });
    await deploy.waitFor(/waiting for proxy-1 to acknowledge/);

    await cluster.member("proxy-1").startAgain();
    await cluster.ready("proxy-1");
    const ended = await deploy.result;
    expect(ended, ended.stdout + ended.stderr).toMatchObject({ code: 0 });
    expect(failures(await client.stop())).toEqual(NO_FAILURES);
    const url = await cluster.url("proxy-1");
    for (const proxy of [url, other]) expect((await get(proxy, HOST)).text).toMatch(/^back from hello-v4-1/);
  });

  test("kill -9 of a gate is nothing to its agent and VM: another one is there, and what it closed stays closed", async () => {
    const [vm] = (await cluster.view("hello")).vms;
    const host = cluster.member(vm?.host ?? "");
    const pids = async (): Promise<string> => (await host.exec(["sh", "-c", GATE_PID])).stdout.trim();
    const before = await pids();
    // The shell's own: the image has no other.
    expect(await host.exec(["sh", "-c", `kill -9 ${before}`])).toMatchObject({ code: 0 });
    await until("another gate", async () => (["", before].includes(await pids()) ? null : true));
    const url = await cluster.url("proxy-1");
    await until("an answer by it", async () => ((await get(url, HOST)).status === 200 ? true : null));
    expect((await cluster.view("hello")).vms).toEqual([vm]);
  });

  test("SIGTERM to an agent's container ends its VM, then the agent, with 0 within the grace; both come back", async () => {
    const [vm] = (await cluster.view("hello")).vms;
    const host = cluster.member(vm?.host ?? "");
    expect(await host.stop({ graceSeconds: GRACE_SECONDS })).toBe(0);
    await host.waitForLog(new RegExp(`"vm":"${vm?.vm}".*stopped with its agent: exited with code 0`));

    await host.startAgain();
    const log = await host.waitForLog(/"msg":"agent is ready"/);
    expect(log).toMatch(new RegExp(`"vm":"${vm?.vm}".*"msg":"vm found again"`));
    const url = await cluster.url("proxy-1");
    await until("an answer of the VM", async () => ((await get(url, HOST)).status === 200 ? true : null));
    expect((await get(url, HOST)).vm).toBe(vm?.vm);
  });

  test("what a process of a container leaves behind is reaped when it ends", async () => {
    const host = cluster.member("host-3");
    // Its parent is gone at once: it becomes a child of process 1.
    const { stdout } = await host.exec(["sh", "-c", "sleep 0.1 >/dev/null 2>&1 & echo $!"]);
    const orphan = `/proc/${stdout.trim()}`;
    await until("the orphan to be gone, not a zombie", async () => {
      const { code } = await host.exec(["test", "-e", orphan]);
      return code === 1 ? true : null;
    });
  });

  test("a command in a container is told things and answers while it runs", async () => {
    const echo = cluster.member("host-3").startExec(["cat"]);
    for (const line of ["one", "two"]) {
      echo.process.stdin?.write(`${line}\n`);
      await echo.waitFor(new RegExp(`^${line}$`, "m"));
    }
    echo.process.stdin?.end();
    expect(await echo.result).toMatchObject({ code: 0, stdout: "one\ntwo\n" });
  });

  test("no container, network or volume is left when it is stopped", async () => {
    expect((await leftovers(cluster.run.id)).length).toBeGreaterThan(0);
    await cluster.stop();
    expect(await leftovers(cluster.run.id)).toEqual([]);
  });
});
