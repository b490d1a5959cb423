// dev: a cluster that comes back member by member while it runs, and leaves no process behind however it ends.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { AppFolder } from "../harness/app-folder.ts";
import { DevMachine, pressCtrlC } from "../harness/dev-process.ts";
import { getThroughProxy, until } from "../harness/observe.ts";

const REPOSITORY = fileURLToPath(new URL("../..", import.meta.url));

let machine: DevMachine;
let app: AppFolder;
beforeEach(() => {
  machine = new DevMachine();
  app = new AppFolder();
});
afterEach(async () => {
  await machine.remove();
  app.remove();
});

const noProcess = () => (machine.processes().length === 0 ? true : null);

test("Ctrl-C during a deploy, pressed twice, ends all and leaves nothing", async () => {
  const { dev } = await machine.dev(["--hosts", "2", "--proxies", "1"]);
  expect(await machine.run(["deploy", app.file])).toMatchObject({ code: 0 });
  app.change({ greeting: "another" });
  const deploy = machine.start(["deploy", app.file]);
  await deploy.waitFor(/submitted/);

  pressCtrlC(dev);
  pressCtrlC(dev);
  const { code, stdout } = await dev.result;
  expect(code).toBe(0);
  expect(stdout.trim().split("\n")).toHaveLength(1);
  deploy.process.kill("SIGINT");
  await deploy.result;
  expect(machine.processes()).toEqual([]);
  expect(machine.leftFolders()).toEqual([]);
});

test("Ctrl-C while it starts leaves nothing", async () => {
  const dev = machine.start(["dev", "--hosts", "2", "--proxies", "1"]);
  await until("a member", () => (machine.processes().length > 0 ? true : null));
  pressCtrlC(dev);
  expect(await dev.result).toMatchObject({ code: 0, stderr: "" });
  expect(machine.processes()).toEqual([]);
});

test("kill -9 of dev: members and VMs end by themselves", async () => {
  const { dev } = await machine.dev(["--hosts", "2", "--proxies", "1"]);
  expect(await machine.run(["deploy", app.file])).toMatchObject({ code: 0 });
  dev.process.kill("SIGKILL");
  await until("an end of all processes", noProcess);
});

// npm hands it to its shell, which hands it to nobody.
test("SIGTERM of the npm that runs it ends all", async () => {
  const args = ["run", "--silent", "grapevine", "--", "dev", "--json", "--hosts", "1", "--proxies", "1"];
  const env = { ...process.env, TMPDIR: machine.folder };
  const npm = spawn("npm", args, { cwd: REPOSITORY, env, stdio: ["ignore", "pipe", "ignore"] });
  await once(npm.stdout, "data");
  expect(machine.processes()).not.toEqual([]);
  npm.kill("SIGTERM");
  await until("an end of all processes", noProcess);
});

test.each(["SIGKILL", "SIGTERM"] as const)("a member that ends by %s is started again", async (signal) => {
  const { view } = await machine.dev(["--hosts", "1", "--proxies", "1"]);
  const before = [...view.agents, ...view.proxies].map(({ name, pid }) => ({ name, pid }));
  for (const { pid } of before) process.kill(pid, signal);
  await until("both under new pids", async () => {
    const { stdout } = await machine.run(["members", "--json"]);
    const now = JSON.parse(stdout) as { name: string; pid: number; state: string }[];
    const isBack = (old: { name: string; pid: number }) =>
      now.some(({ name, pid, state }) => name === old.name && pid !== old.pid && state === "alive");
    return before.every(isBack) ? true : null;
  });
});

test("--state keeps the cluster: its app runs and is routed again; a second dev there is refused", async () => {
  const args = ["--hosts", "2", "--proxies", "1", "--state", join(machine.folder, "kept")];
  const { dev } = await machine.dev(args);
  expect(await machine.run(["deploy", app.file])).toMatchObject({ code: 0 });
  expect(await machine.start(["dev", ...args]).result).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/is in use by another process/),
  });
  // At once after it: agents of the one that was killed still stop their VMs.
  dev.process.kill("SIGKILL");

  const again = await machine.dev(args);
  const url = again.view.proxies[0]?.http ?? "";
  const answer = await until("an answer of the app", async () => {
    const { status, body } = await getThroughProxy(url, "web.localhost");
    return status === 200 ? body : null;
  });
  expect(JSON.parse(answer)).toMatchObject({ vm: "web-v1-1" });
  expect(JSON.parse((await machine.run(["status", "web", "--json"])).stdout)).toMatchObject({
    app: "web",
    release: "v1",
    rollout: { id: "web-v1", state: "succeeded" },
  });
  pressCtrlC(again.dev);
  expect(await again.dev.result).toMatchObject({ code: 0 });
  expect(machine.processes()).toEqual([]);
});
