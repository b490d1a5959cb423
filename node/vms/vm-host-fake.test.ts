import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { vmName } from "../../mesh/index.ts";
import { FakeDriver, FakeMachine } from "./fake-driver.ts";
import { HostHarness, vm, wanted } from "./vm-host-harness.ts";

describe("VmHost with a fake driver", () => {
  let machine: FakeMachine;
  let harness: HostHarness;
  beforeEach(async () => {
    machine = new FakeMachine();
    harness = await HostHarness.create(() => new FakeDriver(machine));
  });
  afterEach(() => harness.close());

  const run = { command: ["run"] };

  it("stops nothing at a restart before it knows what is wanted", async () => {
    const first = await harness.startAgent();
    first.reconcile([wanted("serving", run)]);
    await harness.entry({ state: "running" });
    await first.leave();
    await harness.startAgent();
    expect(machine.running).toEqual([vm]);
    expect(harness.published.get(vm)?.state).toBe("running");
  });

  it("leaves the VMs of an app alone whose record cannot be read", async () => {
    const first = await harness.startAgent();
    first.reconcile([wanted("serving", run)]);
    await harness.entry({ state: "running" });
    await first.leave();
    const host = await harness.startAgent();
    host.reconcile([], (app) => app === "hello");
    expect(harness.published.get(vm)?.state).toBe("running");
    expect(machine.running).toEqual([vm]);
    host.reconcile([], () => false);
    await harness.gone();
  });

  it("removes one that was never started when it is not wanted any more, and ends its preparing", async () => {
    const begun = Promise.withResolvers<void>();
    harness.unpack = async (_folder, signal) => {
      begun.resolve();
      await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    };
    const host = await harness.startAgent();
    host.reconcile([wanted("starting", run)]);
    await begun.promise;
    host.reconcile([]);
    await harness.gone();
    expect(machine.started).toEqual([]);
  });

  it("waits for an unpacking that cannot be called back before it removes the folder", async () => {
    const begun = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    harness.unpack = async (folder) => {
      begun.resolve();
      await go.promise;
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, "late"), "");
    };
    const host = await harness.startAgent();
    host.reconcile([wanted("starting", run)]);
    await begun.promise;
    host.reconcile([]);
    go.resolve();
    await harness.gone();
    expect(await readdir(harness.folder)).toEqual([]);
  });

  it("begins anew with one that is wanted again while it goes", async () => {
    const host = await harness.startAgent();
    host.reconcile([wanted("serving", run)]);
    await harness.entry({ state: "running" });
    host.reconcile([]);
    host.reconcile([wanted("serving", run)]);
    await harness.until(() => machine.started.length === 2 && harness.published.get(vm)?.state === "running");
    expect(harness.history).toContain(null);
    expect(machine.running).toEqual([vm]);
  });

  it("a VM whose process was being made when it was not wanted any more is stopped", async () => {
    const going = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    class SlowDriver extends FakeDriver {
      override async start(...args: Parameters<FakeDriver["start"]>) {
        going.resolve();
        await go.promise;
        return await super.start(...args);
      }
    }
    const host = await harness.startAgent(new SlowDriver(machine));
    host.reconcile([wanted("starting", run)]);
    await going.promise;
    host.reconcile([]);
    go.resolve();
    await harness.gone();
    expect(machine.started.length).toBe(1);
    expect(machine.running).toEqual([]);
  });

  it("an agent that died before the process was made starts it once", async () => {
    const going = Promise.withResolvers<void>();
    class DyingDriver extends FakeDriver {
      override async start(): Promise<never> {
        going.resolve();
        return await new Promise(() => undefined);
      }
    }
    const dying = await harness.startAgent(new DyingDriver(machine));
    dying.reconcile([wanted("serving", run)]);
    await going.promise;
    const second = await harness.startAgent();
    expect(harness.published.get(vm)?.state).toBe("preparing");
    second.reconcile([wanted("serving", run)]);
    await harness.entry({ state: "running" });
    expect(machine.started.length).toBe(1);
    harness.forget(dying);
  });

  it("stopAll() stops the VMs, and a later agent starts again those that are wanted", async () => {
    const first = await harness.startAgent();
    const other = vmName("hello-v1-2");
    first.reconcile([wanted("serving", run), wanted("starting", { command: ["none"] }, other)]);
    await harness.entry({ state: "running" });
    await harness.entry({ state: "failed" }, other);
    await first.stopAll();
    expect(machine.running).toEqual([]);
    expect(harness.published.get(vm)).toMatchObject({ state: "exited" });
    expect(harness.published.get(vm)?.reason).toContain("stopped with its agent");
    await first.leave();
    const second = await harness.startAgent();
    expect(harness.published.get(vm)?.state).toBe("exited");
    second.reconcile([wanted("serving", run)]);
    await harness.entry({ state: "running" });
    await harness.gone(other);
  });

  it("leave() does nothing and publishes nothing afterwards", async () => {
    const host = await harness.startAgent();
    host.reconcile([wanted("serving", run)]);
    await harness.entry({ state: "running" });
    await host.leave();
    const count = harness.history.length;
    machine.end(vm, { code: 1, signal: null });
    host.reconcile([]);
    await new Promise((next) => setImmediate(next));
    expect(harness.history.length).toBe(count);
  });

  it("removes a folder whose record cannot be read, and stops what runs there", async () => {
    const first = await harness.startAgent();
    first.reconcile([wanted("serving", run)]);
    await harness.entry({ state: "running" });
    await first.leave();
    await writeFile(join(harness.folderOf(vm), "vm.json"), "{");
    await mkdir(join(harness.folder, "empty-v1-1"));
    await mkdir(join(harness.folder, "NOT A NAME"));
    await harness.startAgent();
    expect(machine.running).toEqual([]);
    expect(await readdir(harness.folder)).toEqual(["NOT A NAME"]);
    expect(harness.published.size).toBe(0);
  });

  it("a start that cannot be written down does not happen", async () => {
    const host = await harness.startAgent();
    await mkdir(join(harness.folderOf(vm), "vm.json.new"), { recursive: true });
    host.reconcile([wanted("starting", run)]);
    expect((await harness.entry({ state: "failed" })).reason).toContain("cannot write down the start");
    expect(machine.started).toEqual([]);
  });

  it("keeps the output of the last twenty VMs that are gone", async () => {
    const host = await harness.startAgent();
    for (let at = 1; at <= 22; at += 1) {
      const name = vmName(`hello-v1-${at}`);
      host.reconcile([wanted("starting", { command: ["exit", "1", `line of ${at}`] }, name)]);
      await harness.entry({ state: "exited" }, name);
    }
    host.reconcile([]);
    await harness.until((published) => published.size === 0);
    expect((await readdir(join(harness.root, "state", "logs"))).length).toBe(20);
    const file = host.logFile(vmName("hello-v1-22")) ?? "";
    expect(await readFile(file, "utf8")).toBe("line of 22\n");
  });
});
