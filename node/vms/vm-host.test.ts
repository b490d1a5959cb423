import { once } from "node:events";
import { readdir, readFile, rename, stat, truncate, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Check, envHash, memberName, type VmEntry, vmName } from "../../mesh/index.ts";
import { ProcessDriver } from "./process-driver.ts";
import { stopLeftoverVms } from "./vm-host.ts";
import { HostHarness, vm, wanted } from "./vm-host-harness.ts";
import { outputLine } from "./wait-for-output.ts";

const quickHttp: Check = { type: "http", path: "/", intervalMs: 20, timeoutMs: 5_000, gracePeriodMs: 0 };
const never = new AbortController().signal;

describe("VmHost with real processes", () => {
  let harness: HostHarness;
  beforeEach(async () => {
    harness = await HostHarness.create(() => new ProcessDriver());
  });
  afterEach(() => harness.close());

  async function answerOf(entry: VmEntry): Promise<string> {
    const response = await fetch(`http://${entry.address?.host}:${entry.address?.port}/`);
    return await response.text();
  }

  const env = { hash: envHash("e".repeat(64)), host: memberName("host-7") };

  it("does not start without its env, says who had it, and starts when it is there", async () => {
    const host = await harness.startAgent();
    host.reconcile([wanted("serving", { env })]);
    const failed = await harness.entry({ state: "failed" });
    expect(failed.reason).toBe("cannot get the release's env: nobody gives it: host-7 is away");
    harness.envs.set(env.hash, { GREETING: "hi" });
    await harness.entry({ health: "healthy" });
  });

  it("starts what is wanted, and says when it is healthy and where", async () => {
    const host = await harness.startAgent();
    harness.envs.set(env.hash, { PORT: "1", GRAPEVINE_VM: "not me" });
    host.reconcile([wanted("starting", { env })]);
    const entry = await harness.entry({ health: "healthy" });
    expect(entry).toMatchObject({
      vm,
      app: "hello",
      release: 1,
      host: "host-1",
      state: "running",
      restarts: 0,
    });
    expect(entry.address?.port).toBeGreaterThanOrEqual(harness.ports.from);
    expect(await answerOf(entry)).toBe(vm);
    expect(harness.history.map((one) => `${one?.state} ${one?.health}`)).toEqual([
      "preparing unknown",
      "running unknown",
      "running healthy",
    ]);
  });

  it("does nothing when the same is wanted again, and takes over a new phase", async () => {
    const host = await harness.startAgent();
    host.reconcile([wanted("starting")]);
    await harness.entry({ health: "healthy" });
    const count = harness.history.length;
    host.reconcile([wanted("starting")]);
    host.reconcile([wanted("serving"), wanted("serving")]);
    expect(host.status()).toMatchObject([{ phase: "serving", entry: { vm } }]);
    expect(harness.history.length).toBe(count);
  });

  it("stops what is not wanted any more, deletes its entry and folder, and keeps its output", async () => {
    const host = await harness.startAgent();
    host.reconcile([wanted("serving")]);
    const { address } = await harness.entry({ health: "healthy" });
    await outputLine(harness.folderOf(vm), "listening");
    host.reconcile([]);
    host.reconcile([]);
    await harness.entry({ state: "stopping" });
    await harness.gone();
    await expect(fetch(`http://127.0.0.1:${address?.port}/`)).rejects.toThrow();
    expect(await readdir(harness.folder)).toEqual([]);
    expect(await readFile(host.logFile(vm) ?? "", "utf8")).toBe("listening\n");
    expect(host.logFile(vmName("other-v1-1"))).toBeNull();
    expect(host.status()).toEqual([]);
  });

  it("kills one that ignores its stop signal, at its deadline", async () => {
    const host = await harness.startAgent();
    const deaf = `process.on("SIGTERM", () => console.log("no")); ${await readFile(join(harness.root, "app/server.js"), "utf8")}`;
    await writeFile(join(harness.root, "app/server.js"), deaf);
    host.reconcile([wanted("serving", { stop: { signal: "SIGTERM", timeoutMs: 50 } })]);
    await harness.entry({ health: "healthy" });
    host.reconcile([]);
    await harness.gone();
  });

  it("says how one ended that exits at once, with its last lines, and leaves it to the rollout", async () => {
    const host = await harness.startAgent();
    const command = ["sh", "-c", "echo starting; printf '\\033[31mno database\\033[0m\\a\\n' >&2; exit 3"];
    host.reconcile([wanted("starting", { command })]);
    const entry = await harness.entry({ state: "exited" });
    expect(entry).toMatchObject({ exit: { code: 3, signal: null }, lastLines: ["starting", "no database "] });
    expect(entry.reason).toMatch(/^exited with code 3 after \d+ ms$/);
    host.reconcile([wanted("starting", { command })]);
    expect(host.status()[0]?.entry.state).toBe("exited");
    host.reconcile([]);
    await harness.gone();
    expect(await readFile(host.logFile(vm) ?? "", "utf8")).toContain("no database");
  });

  it("says that a command is not found, and starts nothing", async () => {
    const host = await harness.startAgent();
    host.reconcile([wanted("starting", { command: ["no-such-command"] })]);
    const entry = await harness.entry({ state: "failed" });
    expect(entry.reason).toBe("command not found: no-such-command; it is not in the PATH of this host");
    expect(entry).toMatchObject({ exit: null, address: null, startedAtMs: null });
  });

  it("says why the release's files could not be had", async () => {
    harness.unpack = async () => {
      throw new Error("host-1: not held here");
    };
    const host = await harness.startAgent();
    host.reconcile([wanted("starting")]);
    expect((await harness.entry({ state: "failed" })).reason).toBe(
      "cannot get the release's files: host-1: not held here",
    );
  });

  it("says that no port is free, and takes one as soon as there is one", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    harness.ports = { from: port, to: port };
    const host = await harness.startAgent();
    host.reconcile([wanted("serving")]);
    const { reason } = await harness.entry({ state: "failed" });
    expect(reason).toBe(
      `no port from ${port} to ${port} is free at 127.0.0.1: widen vm_ports in the agent's config`,
    );
    server.close();
    expect((await harness.entry({ health: "healthy" })).address?.port).toBe(port);
  });

  it("gives each VM a port of its own", async () => {
    const host = await harness.startAgent();
    const names = [1, 2, 3, 4].map((at) => vmName(`hello-v1-${at}`));
    host.reconcile(names.map((name) => wanted("starting", {}, name)));
    const entries = await Promise.all(names.map((name) => harness.entry({ health: "healthy" }, name)));
    expect(new Set(entries.map((entry) => entry.address?.port)).size).toBe(4);
    expect(await Promise.all(entries.map(answerOf))).toEqual(names);
  });

  it("starts one that serves again when it ends, at the same address, and counts it", async () => {
    const host = await harness.startAgent();
    const script = `require("http").createServer((_, response) => { response.end(); process.exit(9); })
      .listen(process.env.PORT, process.env.HOST)`;
    const spec = { command: ["node", "-e", script] };
    host.reconcile([wanted("serving", spec)]);
    const first = await harness.entry({ health: "healthy" });
    const ended = harness.entry({ state: "exited" });
    await answerOf(first);
    expect(await ended).toMatchObject({ exit: { code: 9 }, address: first.address });
    const second = await harness.entry({ health: "healthy", restarts: 1 });
    expect(second).toMatchObject({ address: first.address, reason: null, lastLines: [], exit: { code: 9 } });
  });

  it("becomes unhealthy when its check fails, says why, and healthy again", async () => {
    const script = `let ok = true; require("http").createServer((request, response) => {
      if (request.url === "/turn") { ok = !ok; console.log("turned"); }
      response.writeHead(ok || request.url === "/turn" ? 200 : 503).end();
      }).listen(process.env.PORT, process.env.HOST)`;
    const host = await harness.startAgent();
    host.reconcile([wanted("serving", { command: ["node", "-e", script], checks: [quickHttp] })]);
    const { address } = await harness.entry({ health: "healthy" });
    await fetch(`http://127.0.0.1:${address?.port}/turn`);
    const unhealthy = await harness.entry({ health: "unhealthy" });
    expect(unhealthy).toMatchObject({ state: "running", reason: "GET /: status 503", lastLines: ["turned"] });
    await fetch(`http://127.0.0.1:${address?.port}/turn`);
    const healthy = await harness.entry({ health: "healthy" });
    expect(healthy).toMatchObject({ reason: null, lastLines: [], restarts: 0 });
  });

  it("says that a check never passes once its grace is over", async () => {
    const host = await harness.startAgent();
    const checks: Check[] = [{ ...quickHttp, path: "/none", gracePeriodMs: 100 }];
    const script = `require("http").createServer((_, response) => response.writeHead(404).end())
      .listen(process.env.PORT, process.env.HOST)`;
    host.reconcile([wanted("starting", { command: ["node", "-e", script], checks })]);
    const entry = await harness.entry({ health: "unhealthy" });
    expect(entry).toMatchObject({ state: "running", healthyAtMs: null });
    expect(entry.reason).toMatch(/^GET \/none: /);
  });

  it("a restarted agent knows its VM again: same process, same entry, watched on", async () => {
    const first = await harness.startAgent();
    first.reconcile([wanted("serving")]);
    const before = await harness.entry({ health: "healthy" });
    await first.leave();
    const second = await harness.startAgent();
    expect(harness.published.get(vm)).toEqual(before);
    expect(await answerOf(before)).toBe(vm);
    second.reconcile([wanted("serving")]);
    expect(second.status()).toMatchObject([{ phase: "serving", entry: { restarts: 0, state: "running" } }]);
    const record = JSON.parse(await readFile(join(harness.folderOf(vm), "vm.json"), "utf8"));
    process.kill(record.handle.identity.pid, "SIGKILL");
    await harness.entry({ health: "healthy", restarts: 1 });
    second.reconcile([]);
    await harness.gone();
  });

  it("a restarted agent says of one that ended meanwhile how it ended, and starts it when it is wanted", async () => {
    const first = await harness.startAgent();
    first.reconcile([wanted("serving")]);
    await harness.entry({ health: "healthy" });
    await first.leave();
    const record = JSON.parse(await readFile(join(harness.folderOf(vm), "vm.json"), "utf8"));
    const driver = new ProcessDriver();
    await driver.stop(record.handle, { stopSignal: "SIGKILL", timeoutMs: 0, signal: never });
    const second = await harness.startAgent();
    expect(harness.published.get(vm)).toMatchObject({ state: "exited", lastLines: ["listening"] });
    expect(harness.published.get(vm)?.reason).toContain("while its agent was away");
    second.reconcile([wanted("serving")]);
    await harness.entry({ health: "healthy", restarts: 1 });
  });

  it("an agent that died between the start and writing it down finds the process by its folder", async () => {
    const first = await harness.startAgent();
    first.reconcile([wanted("serving")]);
    const before = await harness.entry({ health: "healthy" });
    await first.leave();
    const file = join(harness.folderOf(vm), "vm.json");
    const record = JSON.parse(await readFile(file, "utf8"));
    const { address, startedAtMs } = before;
    const entry = { ...before, state: "preparing", address: null, startedAtMs: null, health: "unknown" };
    await writeFile(
      file,
      JSON.stringify({ ...record, entry, handle: null, starting: { address, startedAtMs } }),
    );
    const second = await harness.startAgent();
    expect(harness.published.get(vm)).toMatchObject({ state: "running", address, startedAtMs, restarts: 0 });
    await harness.entry({ health: "healthy" });
    expect(JSON.parse(await readFile(file, "utf8")).handle).toEqual(record.handle);
    second.reconcile([]);
    await harness.gone();
  });

  it("stopLeftoverVms() stops what an agent that is gone left running, written down or not", async () => {
    const host = await harness.startAgent();
    const names = [vm, vmName("hello-v1-2"), vmName("hello-v1-3")];
    host.reconcile(names.map((name) => wanted("serving", {}, name)));
    for (const name of names) await harness.entry({ health: "healthy" }, name);
    await host.leave();
    await rename(join(harness.folderOf(vm), "vm.json"), join(harness.folderOf(vm), "lost"));
    const stopped = await stopLeftoverVms(harness.folder, new ProcessDriver());
    expect(stopped).toEqual(names);
    for (const { address } of harness.published.values()) {
      await expect(fetch(`http://127.0.0.1:${address?.port}/`)).rejects.toThrow();
    }
    expect(await stopLeftoverVms(harness.folder, new ProcessDriver())).toEqual([]);
  });

  it("cuts the output of a VM that writes without end, and the VM writes on", async () => {
    const host = await harness.startAgent();
    const script = `process.on("SIGUSR2", () => console.log("\\nstill here")); setInterval(() => {}, 1e6); console.log("ready")`;
    host.reconcile([
      wanted("serving", { command: ["node", "-e", script], stop: { signal: "SIGKILL", timeoutMs: 0 } }),
    ]);
    await outputLineOf("ready");
    const file = host.logFile(vm) ?? "";
    await truncate(file, 65 * 1024 * 1024);
    // Cut to nothing, then what is kept is written back: below 1 MiB it is in between.
    const mib = 1024 * 1024;
    for (let size = 0; size < mib || size > 2 * mib; size = (await stat(file)).size) {
      await new Promise((next) => setImmediate(next));
    }
    const record = JSON.parse(await readFile(join(harness.folderOf(vm), "vm.json"), "utf8"));
    process.kill(record.handle.identity.pid, "SIGUSR2");
    await outputLineOf("still here");
  });

  async function outputLineOf(start: string): Promise<string> {
    await harness.entry({ state: "running" });
    return await outputLine(harness.folderOf(vm), start);
  }
});
