import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FakeDriver, FakeMachine } from "./fake-driver.ts";
import { readLease, readWatchdog, writeLease } from "./lease-file.ts";
import { Leases } from "./leases.ts";
import { hasEnvironmentLine, listProcesses, readProcess, uptimeMs } from "./process-table.ts";
import { endWatchdog, isWatched, startWatchdog, untilWatchdogEnded } from "./start-watchdog.ts";
import { HostHarness, vm, wanted } from "./vm-host-harness.ts";

const LEASE_MS = 2_000;
const fence = { leaseMs: LEASE_MS };
const deploy = { strategy: "handoff", drainTimeoutMs: 1_000, waitTimeoutMs: 1_000 } as const;
const run = { command: ["run"], deploy, fence };

/** What a process table changes into is told by nobody: it is looked at again. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await delay(10);
}

describe("a VM with a lease", () => {
  let machine: FakeMachine;
  let harness: HostHarness;
  beforeEach(async () => {
    machine = new FakeMachine();
    harness = await HostHarness.create(() => new FakeDriver(machine));
  });
  afterEach(() => harness.close());

  it("is started once a majority has it run here, and says meanwhile for what it waits", async () => {
    harness.isWanted = false;
    const host = await harness.startAgent();
    host.reconcile([wanted("starting", run)]);
    await harness.until((published) => published.get(vm)?.reason?.startsWith("waits to be started") === true);
    expect(machine.started).toEqual([]);
    harness.isWanted = true;
    const { reason } = await harness.entry({ state: "running" });
    expect(reason).toBeNull();
    expect(isWatched(harness.folderOf(vm))).toBe(true);
  });

  it("has a lease that counts from the question, not from the answer", async () => {
    const answer = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<number>();
    harness.askLease = async () => {
      asked.resolve(uptimeMs());
      await answer.promise;
      return { epoch: 1, isNamed: true };
    };
    const host = await harness.startAgent();
    // Not renewed within the test.
    const leaseMs = 600_000;
    host.reconcile([wanted("starting", { ...run, fence: { leaseMs } })]);
    const askedMs = await asked.promise;
    const later = delay(100);
    await later;
    answer.resolve();
    await harness.entry({ state: "running" });
    expect(host.places()[0]?.untilMs).toBeLessThanOrEqual(askedMs + leaseMs);
    expect(readLease(harness.folderOf(vm))).toBe(host.places()[0]?.untilMs);
  });

  it("renews while it runs, goes on with that after a restart of the agent, and ends it with the VM", async () => {
    const first = await harness.startAgent();
    first.reconcile([wanted("starting", run)]);
    await harness.entry({ state: "running" });
    const folder = harness.folderOf(vm);
    const firstMs = readLease(folder);
    await until(() => readLease(folder) > firstMs);
    const watchdog = readWatchdog(folder);
    await first.leave();
    expect(readWatchdog(folder)).toEqual(watchdog);
    const second = await harness.startAgent();
    const laterMs = readLease(folder);
    await until(() => readLease(folder) > laterMs);
    expect(machine.running).toEqual([vm]);
    expect(readWatchdog(folder)).toEqual(watchdog);
    second.reconcile([]);
    await harness.gone();
    await until(() => watchdog === null || !existsSync(`/proc/${watchdog.pid}/exe`) || !isWatched(folder));
    expect(existsSync(folder)).toBe(false);
  });

  it("gets another watchdog when its own is gone", async () => {
    const host = await harness.startAgent();
    host.reconcile([wanted("starting", run)]);
    await harness.entry({ state: "running" });
    const folder = harness.folderOf(vm);
    const before = readWatchdog(folder);
    endWatchdog(folder);
    await until(() => isWatched(folder) && readWatchdog(folder)?.pid !== before?.pid);
  });

  it("is asked for at once by an agent that finds it running: what is left of its lease may be little", async () => {
    const first = await harness.startAgent();
    const slow = { ...run, fence: { leaseMs: 600_000 } };
    first.reconcile([wanted("starting", slow)]);
    await harness.entry({ state: "running" });
    const folder = harness.folderOf(vm);
    await first.leave();
    const leftMs = readLease(folder);
    await harness.startAgent();
    await until(() => readLease(folder) > leftMs);
  });

  it("says why it is not started when its watchdog cannot be, and is tried again", async () => {
    const host = await harness.startAgent();
    const folder = harness.folderOf(vm);
    mkdirSync(join(folder, "watchdog.json.new"), { recursive: true });
    host.reconcile([wanted("serving", run)]);
    const { reason } = await harness.entry({ state: "failed" });
    expect(reason).toMatch(/cannot be given its turn: the watchdog ended as it was started/);
    expect(machine.started).toEqual([]);
    rmSync(join(folder, "watchdog.json.new"), { recursive: true });
    await harness.entry({ state: "running" });
  });

  it("gets no request between its end and its next start", async () => {
    const host = await harness.startAgent();
    host.reconcile([wanted("starting", run)]);
    await harness.entry({ state: "running" });
    machine.end(vm, { code: 1, signal: null });
    await harness.entry({ state: "exited" });
    expect(host.places()).toMatchObject([{ vm, untilMs: 0 }]);
  });

  it("runs no longer than what could be written down", async () => {
    const host = await harness.startAgent();
    host.reconcile([wanted("starting", run)]);
    await harness.entry({ state: "running" });
    const folder = harness.folderOf(vm);
    mkdirSync(join(folder, "lease.json.new"));
    const untilMs = readLease(folder);
    await until(() => uptimeMs() >= untilMs);
    expect(host.places()[0]?.untilMs).toBe(untilMs);
    rmSync(join(folder, "lease.json.new"), { recursive: true });
  });
});

describe("leases", () => {
  const asked: number[] = [];
  const warned: string[] = [];
  let folder: string;
  let leases: Leases;
  let isBlind: boolean;
  beforeEach(() => {
    isBlind = false;
    asked.length = 0;
    warned.length = 0;
    folder = mkdtempSync(join(tmpdir(), "grapevine-leases-"));
    leases = new Leases({
      ask: async () => {
        asked.push(uptimeMs());
        return { epoch: 1, isNamed: true };
      },
      nowMs: () => {
        if (isBlind) throw new Error("EMFILE: too many open files");
        return uptimeMs();
      },
      onChange: () => undefined,
      logger: { info: () => undefined, warn: (_fields: unknown, text?: string) => warned.push(text ?? "") },
    });
  });
  afterEach(async () => {
    await leases.leave();
    endWatchdog(folder);
    rmSync(folder, { recursive: true });
  });
  const leased = () => ({ vm, app: wanted("starting").app, folder, leaseMs: LEASE_MS });

  it("start nothing under the watch of an earlier agent, which does not wait for this one", async () => {
    writeLease(folder, uptimeMs() + 60_000);
    await startWatchdog(folder);
    const before = readWatchdog(folder);
    await leases.hold(leased(), new AbortController().signal);
    expect(readWatchdog(folder)?.pid).not.toBe(before?.pid);
    await until(() => readProcess(before?.pid ?? 0)?.ended !== false);
  });

  it("are over while the clock cannot be read", () => {
    expect(leases.isOver(vm)).toBe(false);
    writeLease(folder, uptimeMs() + 600_000);
    leases.adopt({ ...leased(), leaseMs: 600_000 });
    expect(leases.isOver(vm)).toBe(false);
    isBlind = true;
    expect(leases.isOver(vm)).toBe(true);
  });

  it("are dropped also where the watchdog cannot be ended", async () => {
    mkdirSync(join(folder, "watchdog.json"));
    writeLease(folder, uptimeMs() + 600_000);
    leases.adopt({ ...leased(), leaseMs: 600_000 });
    leases.drop(vm);
    expect(leases.untilMs(vm)).toBeUndefined();
    await leases.leave();
    expect(warned).toEqual(["watchdog cannot be ended"]);
    rmSync(join(folder, "watchdog.json"), { recursive: true });
  });

  it.each([
    { what: "a watchdog ends as it starts", block: (path: string) => mkdirSync(path) },
    { what: "a watchdog hangs as it starts", block: (path: string) => execFileSync("mkfifo", [path]) },
  ])("are not renewed while nobody would end the VM: then we do, where $what", async ({ block }) => {
    // No watchdog comes up where it cannot write down who it is.
    block(join(folder, "watchdog.json.new"));
    writeLease(folder, uptimeMs() + 400);
    const script = "setInterval(() => 0, 1000)";
    const env = { GRAPEVINE_VM_FOLDER: folder };
    const ended = once(
      spawn(process.execPath, ["-e", script], { env, stdio: "ignore", detached: true }),
      "exit",
    );
    const untilMs = readLease(folder);
    // Longer than this test may take.
    leases.adopt({ ...leased(), leaseMs: 600_000 });
    const [, signal] = await ended;
    expect(signal).toBe("SIGKILL");
    expect(uptimeMs()).toBeGreaterThanOrEqual(untilMs);
    expect(asked).toEqual([]);
    expect(warned[0]).toContain("nobody would end the VM");
  });
});

describe("the watchdog", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "grapevine-watchdog-"));
  });
  afterEach(() => {
    endWatchdog(folder);
    rmSync(folder, { recursive: true, force: true });
  });

  /** A VM as the process driver starts it, with a child of its own that ignores signals. */
  function process(): ReturnType<typeof spawn> {
    const child = `require("child_process").spawn(process.execPath, ["-e", "setInterval(() => 0, 1000)"], { detached: true, stdio: "ignore" }); setInterval(() => 0, 1000)`;
    const env = { GRAPEVINE_VM_FOLDER: folder };
    return spawn(globalThis.process.execPath, ["-e", child], { env, stdio: "ignore", detached: true });
  }

  it("kills the VM with all that it started when the lease is over, and ends", async () => {
    writeLease(folder, uptimeMs() + 400);
    await startWatchdog(folder);
    const vmProcess = process();
    const untilMs = readLease(folder);
    const watchdog = readWatchdog(folder)?.pid;
    const [, signal] = await once(vmProcess, "exit");
    expect(signal).toBe("SIGKILL");
    expect(uptimeMs()).toBeGreaterThanOrEqual(untilMs - 10);
    await until(
      () => !listProcesses().some(({ pid }) => hasEnvironmentLine(pid, `GRAPEVINE_VM_FOLDER=${folder}`)),
    );
    // Its agent, which is there still, might have been about to start it.
    expect(isWatched(folder)).toBe(true);
    rmSync(folder, { recursive: true });
    await until(() => !listProcesses().some(({ pid, ended }) => pid === watchdog && !ended));
  });

  it("has ended once that was waited for", async () => {
    writeLease(folder, uptimeMs() + 600_000);
    await startWatchdog(folder);
    const pid = readWatchdog(folder)?.pid ?? 0;
    expect(readProcess(pid)?.ended).toBe(false);
    await untilWatchdogEnded(folder);
    expect(readProcess(pid)?.ended ?? true).toBe(true);
    await untilWatchdogEnded(folder);
  });

  it("kills children that made their own session and environment", async () => {
    writeLease(folder, uptimeMs() + 600_000);
    await startWatchdog(folder);
    const pidFile = join(folder, "child");
    const child = `require("node:child_process").spawn(process.execPath, ["-e", "require('node:fs').writeFileSync('${pidFile}', String(process.pid)); setInterval(() => 0, 1000)"], { detached: true, stdio: "ignore", env: {} }); setInterval(() => 0, 1000)`;
    const env = { GRAPEVINE_VM_FOLDER: folder };
    const options = { env, stdio: "ignore", detached: true } as const;
    const ended = once(spawn(globalThis.process.execPath, ["-e", child], options), "exit");
    await until(() => existsSync(pidFile) && readFileSync(pidFile, "utf8") !== "");
    const pid = Number(readFileSync(pidFile, "utf8"));
    expect(readProcess(pid)?.ended).toBe(false);
    writeLease(folder, uptimeMs());
    await ended;
    await until(() => readProcess(pid)?.ended !== false);
  });

  it("kills what is started after the lease was over: its agent stood still in between", async () => {
    writeLease(folder, uptimeMs());
    await startWatchdog(folder);
    const [, signal] = await once(process(), "exit");
    expect(signal).toBe("SIGKILL");
  });

  it("kills it at once after a pause that was longer than the lease", async () => {
    writeLease(folder, uptimeMs() + 300);
    await startWatchdog(folder);
    const watchdog = readWatchdog(folder)?.pid ?? 0;
    const vmProcess = process();
    await once(vmProcess, "spawn");
    for (const pid of [watchdog, vmProcess.pid ?? 0]) globalThis.process.kill(pid, "SIGSTOP");
    await until(() => uptimeMs() > readLease(folder));
    const ended = once(vmProcess, "exit");
    globalThis.process.kill(watchdog, "SIGCONT");
    const [, signal] = await ended;
    expect(signal).toBe("SIGKILL");
  });

  it("lets the VM run as long as the lease is renewed, and kills it when its file is gone", async () => {
    writeLease(folder, uptimeMs() + 300);
    await startWatchdog(folder);
    const vmProcess = process();
    const ended = once(vmProcess, "exit");
    const firstMs = readLease(folder);
    writeLease(folder, firstMs + 60_000);
    await until(() => uptimeMs() > firstMs + 100);
    expect(vmProcess.exitCode).toBeNull();
    rmSync(join(folder, "lease.json"));
    const [, signal] = await ended;
    expect(signal).toBe("SIGKILL");
  });
});
