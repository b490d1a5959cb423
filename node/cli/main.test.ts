// The command as people run it: a process of its own, against an agent's API in this one.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { type Mesh, memberName, vmName } from "../../mesh/index.ts";
import { MemoryHub } from "../../mesh/sim/memory-mesh.ts";
import { createApi } from "../api/api.ts";
import { type ApiListener, listenApi } from "../api/listen.ts";
import { type FakeAgent, FakeDeploys, fakeAgent, fakeRollout, fakeView } from "../api/testing/fake-agent.ts";
import type { RolloutView } from "../deploy/app-view.ts";

// Processes start slowly on a busy machine; nothing here waits for time to pass.
vi.setConfig({ testTimeout: 60_000 });

const COMMAND = fileURLToPath(new URL("./grapevine.mjs", import.meta.url));

let folder: string;
let appFile: string;
let mesh: Mesh;
let agent: FakeAgent;
let deploys: FakeDeploys;
let listener: ApiListener;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "grapevine-main-"));
  // In a folder of its own: what runs with this TMPDIR keeps its compile cache beside it.
  mkdirSync(path.join(folder, "app"));
  appFile = path.join(folder, "app", "app.toml");
  writeFileSync(appFile, 'name = "hello"\ncommand = ["node", "server.js"]\n');
  mesh = new MemoryHub().join({ name: "host-1", role: "host" });
  deploys = new FakeDeploys();
  agent = fakeAgent(mesh, deploys);
  const socketFile = path.join(tmpdir(), `${path.basename(folder)}.sock`);
  listener = await listenApi(createApi(agent.deps), { api: { host: "127.0.0.1", port: 0 }, socketFile });
});
afterAll(async () => {
  await listener.close();
  await mesh.stop();
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  deploys.answer = { code: "accepted", app: fakeView().app, rollout: "hello-v2", release: 2, joined: false };
});

interface Run {
  readonly child: ChildProcess;
  readonly ended: Promise<{ code: number | null; stdout: string; stderr: string }>;
}

function start(...args: string[]): Run {
  const env = { ...process.env, GRAPEVINE_API: listener.url, TMPDIR: folder };
  const child = spawn(process.execPath, [COMMAND, ...args], { env, stdio: "pipe" });
  const texts = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk) => {
    texts.stdout += chunk;
  });
  child.stderr.on("data", (chunk) => {
    texts.stderr += chunk;
  });
  return { child, ended: once(child, "close").then(([code]) => ({ code, ...texts })) };
}

function ended(state: RolloutView["state"], reason: RolloutView["reason"] = null): void {
  const history = [
    { number: 1, kind: "start", vms: [vmName("hello-v2-1")], waitedMs: 5, outcome: "healthy" },
  ] as const;
  const rollout = fakeRollout({ state, reason, history, endedAtMs: 1_500 });
  deploys.show(fakeView({ release: state === "succeeded" ? "v2" : "v1", rollout }));
}

describe("grapevine traffic, rollback and pause", () => {
  const ofSplit = [
    { release: 1, weight: 90 },
    { release: 2, weight: 10 },
  ];
  const weigh = { kind: "weigh", vms: [], weights: ofSplit, waitedMs: 43 } as const;
  const outcome = "acks 2/2, slowest proxy-2 43 ms";

  it("wait for the split's own step of a deploy that waits for approval, say how long it took, and leave the deploy to go on", async () => {
    deploys.answer = { ...deploys.answer, step: 4 } as typeof deploys.answer;
    const history = [{ ...weigh, number: 4, outcome }];
    deploys.show(fakeView({ weights: { v1: 90, v2: 10 }, rollout: fakeRollout({ history }) }));
    const { code, stdout } = await start("traffic", "set", "hello", "v2=10", "v1=90").ended;
    expect(stdout).toBe(
      "hello-v2: submitted\nstep 4 weigh v1=90 v2=10: acks 2/2, slowest proxy-2 43 ms (43 ms)\n" +
        "hello-v2: every proxy sends v1=90 v2=10 after 43 ms\n" +
        "next: `grapevine promote hello`, `grapevine abort hello`, or another split\n",
    );
    expect(code).toBe(0);
    expect(deploys.asked.at(-1)).toEqual({ app: "hello", weights: ofSplit.toReversed() });
  });

  it.each([
    [0, "succeeded", null, "every proxy sends v1=100; v2 is kept for 60 s"],
    [3, "failed", { code: "wait-timeout", message: "proxy-2 is silent", lastLines: [] }, "the split stands"],
  ] as const)("return %d for a rollback by one step that %s", async (expected, state, reason, said) => {
    const note = "the VMs of v1 are up: one step sends all requests to them";
    deploys.answer = { ...deploys.answer, rollout: "hello-v1-e9", step: 1, note } as typeof deploys.answer;
    const shown = {
      id: "hello-v1-e9",
      kind: "weigh",
      from: 2,
      to: 1,
      state,
      reason,
      endedAtMs: 1_043,
    } as const;
    const history = [{ ...weigh, number: 1, outcome: "acks 2/2" }];
    const kept = { release: "v2", vms: [], forMs: 60_000 };
    deploys.show(fakeView({ weights: { v1: 100 }, kept, rollout: fakeRollout({ ...shown, history }) }));
    const { code, stdout } = await start("rollback", "hello").ended;
    expect(stdout).toContain(`${note}\nhello-v1-e9: submitted\n`);
    expect(stdout).toContain(said);
    expect(code).toBe(expected);
    expect(deploys.asked.at(-1)).toEqual({ app: "hello", to: null });
  });

  it("say that a deploy stands still, once it does", async () => {
    const { code, stdout } = await start("pause", "hello").ended;
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: "hello-v2: paused; `grapevine resume hello` goes on, `grapevine abort hello` goes back\n",
    });
  });

  it("show who gets what, and who could", async () => {
    const vm = (name: string, release: number, phase: "serving" | "cordoned" | "starting") =>
      ({
        vm: vmName(name),
        app: fakeView().app,
        release,
        host: memberName("host-1"),
        phase,
        state: "running",
        health: "healthy",
        address: null,
        reason: null,
        restarts: 0,
      }) as const;
    const vms = [
      vm("hello-v1-1", 1, "cordoned"),
      vm("hello-v2-1", 2, "serving"),
      vm("hello-v3-1", 3, "starting"),
    ];
    const kept = { release: "v1", vms: [], forMs: 60_000 };
    deploys.show(fakeView({ weights: { v2: 100 }, byWeight: false, vms, kept }));
    const { code, stdout } = await start("traffic", "get", "hello").ended;
    expect(code).toBe(0);
    expect(stdout).toBe(
      "hello: v2=100 (each VM counts alike)\n" +
        "RELEASE  WEIGHT  VMS          PHASE\n" +
        "v2       100     1/1 healthy  serving\n" +
        "v1       0       1/1 healthy  kept for 60 s\n",
    );
    const json = JSON.parse((await start("traffic", "get", "hello", "--json").ended).stdout);
    expect(json).toMatchObject({ app: "hello", weights: { v2: 100 }, byWeight: false });
    expect(json.releases).toHaveLength(2);
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
    expect(JSON.parse(stdout)).toMatchObject({
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
      stderr: "grapevine deploy: hello-v1 runs; `grapevine status hello` shows what it waits for\n",
    });
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
      "--strategy must be one of rolling, immediate, bluegreen; found blue",
    ],
    [["deploy", "FILE", "--wait-timeout", "5"], "--wait-timeout must be a duration from 1s to 24h"],
    [["deploy"], "missing required argument 'file'"],
    [
      ["traffic", "set", "hello", "v2=10"],
      "the weights sum to 10, not to 100: for example `grapevine traffic",
    ],
    [["traffic", "set", "hello", "v2=10", "v2=90"], "a release is named twice"],
    [["traffic", "set", "hello", "v2=x"], "v2=x is no release with a whole percent from 0 to 100"],
    [["traffic", "set", "hello"], "missing required argument 'weights'"],
    [["rollback", "hello", "--to", "7"], "--to must name a release, for example v7; found 7"],
    [["deplyo"], "unknown command 'deplyo'"],
    [["status", "--nope"], "unknown option '--nope'"],
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
