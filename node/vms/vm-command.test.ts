import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { vmName } from "../../mesh/index.ts";
import { ProcessDriver } from "./process-driver.ts";
import type { WantedVm } from "./vm-host.ts";
import { HostHarness, release } from "./vm-host-harness.ts";

const vm = vmName("hello-v1-0");

describe("a release command", () => {
  let harness: HostHarness;
  beforeEach(async () => {
    harness = await HostHarness.create(() => new ProcessDriver());
  });
  afterEach(() => harness.close());

  /** Each run of it leaves a line. */
  function command(then: string, timeoutMs = 60_000): WantedVm {
    const base = release({ stop: { signal: "SIGTERM", timeoutMs: 5_000 } });
    const script = `require("fs").appendFileSync(${JSON.stringify(join(harness.root, "runs"))}, "run\\n"); ${then}`;
    const deploy = {
      ...base.spec.deploy,
      releaseCommand: ["node", "-e", script],
      releaseCommandTimeoutMs: timeoutMs,
    };
    const of = { ...base, spec: { ...base.spec, deploy } };
    return { vm, app: "hello" as WantedVm["app"], release: of, phase: "starting", isCommand: true };
  }

  async function runs(): Promise<number> {
    const text = await readFile(join(harness.root, "runs"), "utf8").catch(() => "");
    return text.split("\n").length - 1;
  }

  it("runs to its end, without a port, with the release's files; and not again, whatever its agent does", async () => {
    const wanted = command(
      'if (process.env.PORT || !require("fs").existsSync("server.js")) process.exit(9);',
    );
    const host = await harness.startAgent();
    host.reconcile([wanted]);
    const entry = await harness.entry({ state: "exited" }, vm);
    expect(entry).toMatchObject({ exit: { code: 0, signal: null }, address: null, restarts: 0 });
    expect(host.places()).toEqual([]);
    host.reconcile([wanted]);
    await host.leave();
    const next = await harness.startAgent();
    next.reconcile([wanted]);
    await harness.entry({ state: "exited" }, vm);
    next.reconcile([]);
    await harness.gone(vm);
    expect(await runs()).toBe(1);
  });

  it("that fails says with which code, and what it printed last", async () => {
    const host = await harness.startAgent();
    host.reconcile([command('console.error("no such table"); process.exitCode = 5;')]);
    expect(await harness.entry({ state: "exited" }, vm)).toMatchObject({
      exit: { code: 5, signal: null },
      lastLines: ["no such table"],
    });
  });

  it("that runs into its timeout is stopped, and has failed though it ends with 0 then", async () => {
    const host = await harness.startAgent();
    const patient =
      'process.on("SIGTERM", () => process.exit(0)); setInterval(() => {}, 1000); console.log("busy");';
    host.reconcile([command(patient, 1_000)]);
    const entry = await harness.entry({ state: "exited" }, vm);
    expect(entry).toMatchObject({ exit: { code: null, signal: "SIGTERM" } });
    expect(entry.reason).toContain("ran into release_command_timeout");
  });

  it("that was stopped with its agent has failed", async () => {
    const host = await harness.startAgent();
    const wanted = command('process.on("SIGTERM", () => process.exit(0)); setInterval(() => {}, 1000);');
    host.reconcile([wanted]);
    await harness.entry({ state: "running" }, vm);
    await host.stopAll();
    expect(harness.published.get(vm)).toMatchObject({ state: "exited", exit: { code: null } });
    await host.leave();
    const next = await harness.startAgent();
    next.reconcile([wanted]);
    expect(harness.published.get(vm)).toMatchObject({ state: "exited", exit: { code: null } });
    expect(await runs()).toBeLessThanOrEqual(1);
  });

  it("whose agent died as it was started is not started again: nobody knows whether it ran", async () => {
    const wanted = command("");
    const host = await harness.startAgent();
    host.reconcile([wanted]);
    await harness.entry({ state: "exited" }, vm);
    await host.leave();
    // As it was on disk right before the process was made.
    const file = join(harness.folderOf(vm), "vm.json");
    const record = JSON.parse(await readFile(file, "utf8"));
    const starting = { address: null, startedAtMs: 5 };
    const entry = { ...record.entry, state: "preparing", exit: null, reason: null, startedAtMs: null };
    await writeFile(file, JSON.stringify({ ...record, entry, starting, handle: null }));
    const next = await harness.startAgent();
    next.reconcile([wanted]);
    expect(harness.published.get(vm)).toMatchObject({
      state: "exited",
      exit: { code: null, signal: null },
      reason: "its agent died as it was started: nobody knows whether it ran",
    });
    expect(await runs()).toBe(1);
  });

  it("that the records do not want any more, as a majority has them, is not started", async () => {
    harness.isWanted = false;
    const host = await harness.startAgent();
    host.reconcile([command("")]);
    const entry = await harness.entry({ state: "failed" }, vm);
    expect(entry.reason).toContain("no record wants its release command run any more");
    expect(await runs()).toBe(0);
  });
});
