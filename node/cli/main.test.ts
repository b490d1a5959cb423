// The command as people run it: a process of its own, against an agent's API in this one.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, openSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { type Mesh, memberName, vmName } from "../../mesh/index.ts";
import { type FakeAgent, type FakeDeploys, fakeRollout, fakeView } from "../api/testing/fake-agent.ts";
import type { RolloutView } from "../deploy/app-view.ts";
import { specOf } from "../deploy/testing/specs.ts";
import { beginStory, STORIES } from "../deploy/testing/stories.ts";
import { endOfEvents, parseEvents } from "./event-stream.ts";
import { planText } from "./plan-text.ts";
import { COMMAND, Commands } from "./testing/commands.ts";

// Processes start slowly on a busy machine; nothing here waits for time to pass.
vi.setConfig({ testTimeout: 60_000 });

let commands: Commands;
let folder: string;
let appFile: string;
let mesh: Mesh;
let agent: FakeAgent;
let deploys: FakeDeploys;
const start = (...args: string[]) => commands.run(...args);

beforeAll(async () => {
  commands = await Commands.start();
  ({ folder, appFile, mesh, agent, deploys } = commands);
});
afterAll(() => commands.close());
beforeEach(() => commands.acceptAll());

function ended(state: RolloutView["state"], reason: RolloutView["reason"] = null): void {
  const history = [
    { number: 1, kind: "start", vms: [vmName("hello-v2-1")], waitedMs: 5, outcome: "healthy" },
  ] as const;
  const rollout = fakeRollout({ state, reason, history, endedAtMs: 1_500 });
  deploys.show(fakeView({ release: state === "succeeded" ? "v2" : "v1", rollout }));
}

it("whose output cannot be written says so, and that what was asked for goes on", async () => {
  const full = openSync("/dev/full", "w");
  const child = spawn(process.execPath, [COMMAND, "status", "--json"], {
    env: commands.environment,
    stdio: ["ignore", full, "pipe"],
  });
  closeSync(full);
  let told = "";
  child.stderr?.on("data", (chunk) => {
    told += chunk;
  });
  const [code] = await once(child, "close");
  expect({ code, told }).toEqual({
    code: 3,
    told: "grapevine: standard output cannot be written (ENOSPC): what was asked for goes on\n",
  });
});

describe("grapevine deploy", () => {
  it("packs, submits, follows and returns 0 when the release serves", async () => {
    ended("succeeded");
    const { code, stdout, stderr } = await start("deploy", appFile, "--wait-timeout", "1m").ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toBe(
      "hello-v2: submitted\nstep 1 start hello-v2-1: healthy (5 ms)\n" +
        "hello-v2: succeeded after 500 ms: v2 serves on every proxy with 0 VMs at hello.localhost\n",
    );
    const spec = deploys.submitted.at(-1);
    expect(spec).toMatchObject({ name: "hello", deploy: { strategy: "rolling", waitTimeoutMs: 60_000 } });
    expect(agent.bundles.held.has(spec?.bundle.hash as never)).toBe(true);
  });

  it.each([
    [1, "rolled-back", { code: "start-failed", message: "exited with 1", lastLines: ["boom"] }],
    [3, "rolled-back", { code: "wait-timeout", message: "proxy-2 did not answer", lastLines: [] }],
    [5, "aborted", null],
  ] as const)("returns %d for a rollout that is %s, in JSON too", async (expected, state, reason) => {
    ended(state, reason);
    const { code, stdout } = await start("deploy", appFile, "--json").ended;
    expect(code).toBe(expected);
    expect(parseEvents(stdout).map(({ event }) => event)).toEqual(["submitted", "step", "end"]);
    expect(endOfEvents(stdout)).toMatchObject({
      app: "hello",
      release: "v2",
      rollout: "hello-v2",
      state,
      exitCode: expected,
      steps: [{ number: 1, kind: "start" }],
      reason,
    });
  });

  it("returns 4 when another rollout runs", async () => {
    const app = fakeView().app;
    deploys.answer = {
      code: "locked",
      app,
      rollout: "hello-v1",
      driver: memberName("host-1"),
      message: "hello-v1 runs",
    };
    const { code, stderr } = await start("deploy", appFile).ended;
    expect({ code, stderr }).toEqual({
      code: 4,
      stderr:
        "grapevine deploy: hello-v1 runs; `grapevine status hello` shows what it waits for; " +
        "--on-conflict wait deploys after it, --on-conflict supersede in its place\n",
    });
  });

  it("prints a plan, in JSON too, and submits nothing", async () => {
    const plan = beginStory(STORIES[1]!).plan(specOf("hello"), "next");
    deploys.planAnswer = { code: "planned", plan };
    const submitted = deploys.submitted.length;
    expect(await start("deploy", appFile, "--plan").ended).toEqual({
      code: 0,
      stdout: planText(plan),
      stderr: "",
    });
    expect(JSON.parse((await start("deploy", appFile, "--plan", "--json").ended).stdout)).toEqual(plan);
    expect(deploys.submitted.length).toBe(submitted);
  });

  it("detaches on Ctrl-C, says so, and returns 3", async () => {
    deploys.show(fakeView({ rollout: fakeRollout() }));
    const { child, ended: end } = start("deploy", appFile);
    await deploys.whenWatched();
    child.kill("SIGINT");
    const { code, stdout } = await end;
    expect(code).toBe(3);
    expect(stdout).toContain("detached; the rollout goes on; follow it with `grapevine status hello`");
  });

  it.each([
    [["deploy", "missing.toml"], "missing.toml:1: no such file: check the path"],
    [
      ["deploy", "FILE", "--strategy", "blue"],
      "--strategy must be one of rolling, immediate, bluegreen, canary, handoff; found blue",
    ],
    [["deploy", "FILE", "--wait-timeout", "5"], "--wait-timeout must be a duration from 1s to 24h"],
    [["deploy"], "missing required argument 'file'"],
    [
      ["traffic", "set", "hello", "v2=10"],
      "the weights sum to 10, not to 100: for example `grapevine traffic",
    ],
    [["traffic", "set", "hello", "v2=10", "v2=90"], "a release is named twice"],
    [["traffic", "set", "hello", "v2=x"], "v2=x is no release with a whole percent from 0 to 100"],
    [["traffic", "set", "hello", "v1\u001b[31m=100"], "v1 [31m=100 is no release"],
    [["\u001b[31m"], "unknown command ' [31m'"],
    [["traffic", "set", "hello"], "missing required argument 'weights'"],
    [["rollback", "hello", "--to", "7"], "--to must name a release, for example v7; found 7"],
    [["deplyo"], "unknown command 'deplyo'"],
    [["status", "--nope"], "unknown option '--nope'"],
    [["status", "-w"], "--watch is for one app: grapevine status -w APP"],
    [["status", "-w", "nothing"], "there is no app nothing"],
    [["status", "nothing"], "there is no app nothing"],
    [["members", "--api", "http://127.0.0.1:1"], "Tried http://127.0.0.1:1 (connection refused)"],
    [["logs", "hello-v1-1", "--lines", "x"], "--lines must be a whole number"],
    [["logs", "hello-v9-1"], "no host has a VM hello-v9-1"],
    [["dev", "--hosts", "x"], "must be a whole number"],
    [["agent", "--config", "missing.toml"], "missing.toml:1: no such file: check the path"],
    [["vm", "stop"], "missing required argument 'vm'"],
    [["entry", "put", "a b", "FILE"], "a key has 1 to 249 of"],
    [["entry", "put", "a", "missing.txt"], "missing.txt"],
    [["entry", "put", "a", "FILE", "--wait", "acked"], "--wait must be applied; found acked"],
    [["entry", "put", "a", "FILE", "--timeout", "5s"], "--timeout is for --wait applied"],
    [["entry", "delete", "a", "--wait", "applied", "--timeout", "5"], "--timeout must be a duration"],
    [
      ["entry", "put", "a/../b", "FILE"],
      '"a/../b" is no key: no part of it between slashes is empty, . or ..',
    ],
    [["entry", "delete", "../apps/hello"], '"../apps/hello" is no key'],
    [["entry", "get", "../vms"], '"../vms" is no key'],
    [["entry", "get", ""], '"" is no key'],
    [["entry", "get", "nothing"], "host-1 has no entry custom/nothing"],
    [["entry", "delete", "nothing"], "this agent has no entry custom/nothing"],
  ])("returns 2 for grapevine %j", async (args, expected) => {
    const { code, stderr } = await start(...args.map((arg) => (arg === "FILE" ? appFile : arg))).ended;
    expect(stderr).toContain(expected);
    expect(code).toBe(2);
  });
});

describe("grapevine status -w", () => {
  it("goes on until Ctrl-C, which ends it with 0, a view a line in JSON", async () => {
    deploys.show(fakeView({ rollout: fakeRollout() }));
    const { child, ended: end } = start("status", "-w", "hello", "--json");
    await once(child.stdout!, "data");
    deploys.show(fakeView({ epoch: 2, rollout: fakeRollout({ state: "succeeded", endedAtMs: 1_500 }) }));
    await once(child.stdout!, "data");
    child.kill("SIGINT");
    const { code, stdout, stderr } = await end;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const views = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(views.map(({ epoch }) => epoch)).toContain(2);
  });
});

describe("grapevine", () => {
  it("shows in JSON what the issue's reader expects", async () => {
    deploys.show(fakeView({ rollout: fakeRollout() }));
    const shown = JSON.parse((await start("status", "hello", "--json").ended).stdout);
    expect(shown).toMatchObject({ app: "hello", epoch: 1, release: "v1", weights: { v1: 100 }, vms: [] });
    expect(shown.rollout).toMatchObject({ id: "hello-v2", state: "running", driver: "host-1", step: null });
    const members = JSON.parse((await start("members", "--json").ended).stdout);
    expect(members).toMatchObject([
      { name: "host-1", role: "host", api: "http://127.0.0.1/host-1", pid: process.pid, state: "alive" },
    ]);
  });

  it.each([
    ["deploy", "missing required argument 'file'"],
    ["status --nope", "unknown option '--nope'"],
    ["dev --hosts 0", "--hosts must be a whole number from 1 to 16"],
  ])("says in JSON too what is wrong with the usage: %s", async (args, message) => {
    const { code, stdout, stderr } = await start(...args.split(" "), "--json").ended;
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toEqual({ error: { code: "invalid", message }, exitCode: 2 });
    expect(stderr).toContain(message);
  });

  it("prints its help with 0, and without a command with 2", async () => {
    expect(await start("--help").ended).toMatchObject({ code: 0, stderr: "" });
    expect((await start().ended).code).toBe(2);
  });

  it("says where the benchmark runs that the image does not have", async () => {
    const image = path.join(folder, "image");
    const root = fileURLToPath(new URL("../..", import.meta.url));
    mkdirSync(image);
    for (const name of ["node", "mesh", "node_modules"])
      symlinkSync(path.join(root, name), path.join(image, name));
    const main = path.join(image, "node", "cli", "main.ts");
    const args = ["--preserve-symlinks", "--preserve-symlinks-main", main, "bench", "convergence", "--json"];
    const child = spawn(process.execPath, args, { stdio: "pipe" });
    const text = async (stream: Readable): Promise<string> => (await stream.toArray()).join("");
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: "invalid" }, exitCode: 2 });
    expect(stderr).toMatch(
      /^grapevine bench convergence: .* run it in a checkout of Grapevine's repository\n$/,
    );
  });

  it("prints a VM's output", async () => {
    const output = path.join(folder, "output.log");
    writeFileSync(output, "one\ntwo\n");
    agent.logFiles.set(vmName("hello-v1-1"), output);
    expect(await start("logs", "hello-v1-1", "--lines", "1").ended).toMatchObject({
      code: 0,
      stdout: "two\n",
    });
  });

  it("stops VMs and destroys apps, and follows to the end", async () => {
    ended("succeeded");
    expect((await start("vm", "stop", "hello-v1-1").ended).code).toBe(0);
    expect(await start("destroy", "hello", "--json").ended).toMatchObject({ code: 0 });
  });
});

describe("grapevine entry", () => {
  it("puts what is in a file or comes in, lists and prints it, and deletes it", async () => {
    const file = path.join(folder, "value");
    writeFileSync(file, Uint8Array.from([0, 255, 10]));
    const put = await start("entry", "put", "dir/raw", file).ended;
    expect(put).toMatchObject({ code: 0, stderr: "" });
    expect(put.stdout).toMatch(/^custom\/dir\/raw: written by host-1, version \S+\n$/);
    const got = JSON.parse(
      (await start("entry", "get", "dir/raw", "--owner", "host-1", "--json").ended).stdout,
    );
    const version = mesh.store.head(mesh.self.owner);
    expect(got).toEqual({
      key: "custom/dir/raw",
      owner: "host-1",
      version,
      bytes: 3,
      text: null,
      base64: "AP8K",
    });
    const piped = start("entry", "put", "dir/piped", "--json", "--wait", "applied");
    piped.child.stdin?.end("from a pipe");
    expect(JSON.parse((await piped.ended).stdout)).toMatchObject({
      wait: "applied",
      missing: [],
      exitCode: 0,
    });
    expect((await start("entry", "get", "dir/piped").ended).stdout).toBe("from a pipe");
    expect((await start("entries", "custom/dir/").ended).stdout).toMatch(
      /^KEY +OWNER +VERSION +BYTES\ncustom\/dir\/piped +host-1 +\S+ +11\ncustom\/dir\/raw +host-1 +\S+ +3\n$/,
    );
    expect((await start("entry", "delete", "dir/raw", "--wait", "applied").ended).stdout).toMatch(
      /^custom\/dir\/raw: deleted by host-1, version \S+\nin force at 0 of 0\n$/,
    );
    expect(JSON.parse((await start("entries", "custom/", "--json").ended).stdout)).toMatchObject([
      { key: "custom/dir/piped", name: "host-1", bytes: 11 },
    ]);
  });
});
