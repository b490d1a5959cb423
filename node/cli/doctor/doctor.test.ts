// The command as people run it: a process of its own, with a member's file before anything runs, and against an agent's API.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import path from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { Commands } from "../testing/commands.ts";
import type { DoctorReport } from "./doctor-text.ts";

// Processes start slowly on a busy machine; nothing here waits for time to pass.
vi.setConfig({ testTimeout: 60_000 });

const CLUSTER = `12D3KooW${"A".repeat(44)}`;
let commands: Commands;

beforeAll(async () => {
  commands = await Commands.start();
});
afterAll(() => commands.close());

function fileOf(name: string, keys: Readonly<Record<string, string | readonly string[]>>): string {
  const folder = path.join(commands.folder, name);
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, "config.toml");
  // JSON's notation of texts and lists of texts is TOML's too.
  const lines = Object.entries(keys).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`);
  writeFileSync(file, lines.join(""));
  return file;
}

const agentKeys = { name: "host-9", cluster: CLUSTER, state_dir: "state", api: "127.0.0.1:0" };

async function report(...args: readonly string[]): Promise<{ code: number | null; told: DoctorReport }> {
  const { code, stdout } = await commands.run("doctor", "--json", ...args).ended;
  return { code, told: JSON.parse(stdout) as DoctorReport };
}

it("before an agent starts it looks at this machine, changes nothing there, and says that the cluster was not looked at", async () => {
  const own = "127.0.0.1:0";
  const file = fileOf("good", {
    ...agentKeys,
    listen: own,
    advertise: ["10.0.0.1:7946"],
    seeds: ["10.0.0.1:7946"],
  });
  const { code, told } = await report("--config", file);
  const failing = told.findings.filter(({ level }) => level === "fail");
  expect({ code, failing }).toEqual({ code: 0, failing: [] });
  expect(told).toMatchObject({
    ok: true,
    member: { name: "host-9", program: "agent", running: false },
    askedBy: null,
    skipped: [{ check: "cluster", why: expect.stringContaining("agent.sock") }],
  });
  const checks = new Set(told.findings.map(({ check }) => check));
  expect([...checks]).toEqual([
    "node",
    "kernel",
    "files",
    "ports",
    "folder",
    "room",
    "disk",
    "key",
    "clock",
    "seeds",
  ]);
  expect(readdirSync(path.dirname(file))).toEqual(["config.toml"]);
});

it("names who has a port, in words, and ends with 1; a proxy's and a gate's file are told by their keys", async () => {
  const held = createServer();
  held.listen(0, "127.0.0.1");
  await once(held, "listening");
  const taken = `127.0.0.1:${(held.address() as AddressInfo).port}`;
  const agent = fileOf("taken", { ...agentKeys, listen: taken, seeds: [taken] });
  const text = await commands.run("doctor", "--config", agent).ended;
  expect(text).toMatchObject({ code: 1, stderr: "" });
  expect(text.stdout).toMatch(/^this machine, for agent host-9: it does not run\n/);
  const who = `listen = "${taken}" is taken by pid ${process.pid}: node`;
  expect(text.stdout.split("\n").find((line) => line.startsWith("fail"))).toContain(who);
  expect(text.stdout).toMatch(
    /\n +so: the agent cannot start\n +do: end it \(kill \d+\), or write another port/,
  );
  expect(text.stdout).toMatch(/\n\d+ ok, \d+ warnings?, 1 fails, in \d.*\n$/);

  const member = { name: "proxy-9", cluster: CLUSTER, state_dir: "state", listen: "127.0.0.1:0" };
  const proxy = fileOf("proxy", { ...member, http: taken });
  const gate = fileOf("gate", {
    host: "host-9",
    cluster: CLUSTER,
    state_dir: "state",
    listen: taken,
    agent_socket: "gate.sock",
  });
  const [ofProxy, ofGate] = await Promise.all([
    report("--config", proxy, "--api", "/none/agent.sock"),
    report("--config", gate),
  ]);
  expect(ofProxy.told.member).toMatchObject({ program: "proxy" });
  expect(ofProxy.told.findings).toContainEqual(
    expect.objectContaining({ check: "ports", level: "fail", found: expect.stringContaining("http = ") }),
  );
  // Somebody said that an agent is there.
  expect(ofProxy.told.findings.at(-1)).toMatchObject({ check: "agent", level: "fail" });
  expect(ofGate.told).toMatchObject({ ok: false, member: { name: "host-9", program: "gate" } });
  expect(ofGate.told.findings.at(-1)).toMatchObject({ check: "socket", level: "warn" });
  held.close();
});

it("without a file it asks an agent of the cluster, and this machine is left out if that agent is not on it", async () => {
  const { code, told } = await report();
  expect(code).toBe(1);
  expect(told).toMatchObject({ ok: false, member: null, askedBy: "host-1" });
  expect(told.skipped).toMatchObject([{ check: "machine" }]);
  expect(told.findings).toContainEqual(
    expect.objectContaining({
      check: "reach",
      level: "ok",
      found: expect.stringContaining("1 of 1 members answer"),
    }),
  );
  expect(told.findings.filter(({ level }) => level === "fail")).toMatchObject([{ check: "voters" }]);
});

it("an agent that runs and does not answer is a failure with its pid, and its machine is looked at all the same", async () => {
  const file = fileOf("hung", { ...agentKeys, listen: "127.0.0.1:0" });
  const state = path.join(path.dirname(file), "state");
  mkdirSync(state, { mode: 0o700 });
  // Takes connections and says nothing, as one that was stopped.
  const hung = `require("node:net").createServer().listen(process.argv[2], () => console.log("ready"))`;
  const child = spawn(process.execPath, ["-e", hung, "agent", path.join(state, "agent.sock")]);
  await once(child.stdout, "data");
  writeFileSync(path.join(state, "agent.json"), JSON.stringify({ name: "host-9", pid: child.pid }));
  const { code, told } = await report("--config", file);
  child.kill("SIGKILL");
  await once(child, "close");
  expect(code).toBe(1);
  expect(told.member).toMatchObject({ running: true });
  expect(told.findings.at(-1)).toMatchObject({
    check: "agent",
    level: "fail",
    found: expect.stringContaining(`the agent that runs here (pid ${child.pid}) does not answer`),
    next: expect.stringContaining(`kill -CONT ${child.pid}`),
  });
  expect(told.findings.find(({ check }) => check === "files")?.found).toContain("of the agent that runs");
});

it("a mistake in the file, and no agent to ask, end with 2 and what to write instead", async () => {
  const file = fileOf("wrong", { ...agentKeys, listen: "here" });
  const [wrong, nobody] = await Promise.all([
    commands.run("doctor", "--config", file).ended,
    commands.run("doctor", "--api", "/none/agent.sock", "--json").ended,
  ]);
  expect(wrong).toMatchObject({ code: 2, stdout: "" });
  expect(wrong.stderr).toMatch(/config\.toml:\d+: listen: must be "host:port"/);
  expect(nobody.code).toBe(2);
  expect(JSON.parse(nobody.stdout)).toMatchObject({
    exitCode: 2,
    error: { code: "no-agent", message: expect.stringContaining("--config FILE") },
  });
});
