// Driver compliance: what every VM driver keeps, as tests. Run against each driver, the fake one included.

import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { vmName } from "../../mesh/index.ts";
import { readLastLines } from "./output-tail.ts";
import type { VmDriver, VmHandle } from "./vm-driver.ts";

/** Commands that do as they are called. `prints-and-exits` writes the lines "one" and "two" and ends with code 3. */
type CompliancePrograms = Readonly<
  Record<"runs" | "ignores-stop" | "prints-and-exits" | "missing", readonly string[]>
>;

export interface ComplianceSubject {
  /** A driver as a fresh agent on the same machine makes it: it remembers nothing. */
  newDriver(): VmDriver;
  readonly programs: CompliancePrograms;
  /** Resolves once a VM of `runs` or `ignores-stop` has set up how it takes a stop signal. */
  ready(folder: string): Promise<void>;
}

const never = new AbortController().signal;
const kill = { stopSignal: "SIGKILL", timeoutMs: 0, signal: never };

/** One folder and one driver a test; what was started is gone after it. */
class Fixture {
  readonly subject: ComplianceSubject;
  driver: VmDriver;
  folder = "";
  #started: VmHandle[] = [];

  constructor(subject: ComplianceSubject) {
    this.subject = subject;
    this.driver = subject.newDriver();
  }

  async open(): Promise<void> {
    this.folder = await mkdtemp(join(tmpdir(), "grapevine-driver-"));
    await mkdir(join(this.folder, "app"));
    this.driver = this.subject.newDriver();
  }

  async start(program: keyof CompliancePrograms): Promise<VmHandle> {
    const command = this.subject.programs[program];
    const handle = await this.driver.start({
      vm: vmName("hello-v1-1"),
      command,
      env: {},
      folder: this.folder,
    });
    this.#started.push(handle);
    return handle;
  }

  async close(): Promise<void> {
    for (const handle of this.#started) await this.driver.stop(handle, kill);
    this.#started = [];
    await rm(this.folder, { recursive: true });
  }
}

export function describeDriverCompliance(name: string, subject: ComplianceSubject): void {
  describe(`${name} keeps the driver contract`, () => {
    const vms = new Fixture(subject);
    beforeEach(() => vms.open());
    afterEach(() => vms.close());
    testStartAndExit(vms);
    testStop(vms);
  });
}

function testStartAndExit(vms: Fixture): void {
  it("a VM that was started runs", async () => {
    expect(await vms.driver.inspect(await vms.start("runs"))).toEqual({ running: true });
  });

  it("a handle survives JSON, and a driver that never saw the VM knows it by its handle", async () => {
    const handle = JSON.parse(JSON.stringify(await vms.start("runs"))) as VmHandle;
    expect(await vms.subject.newDriver().inspect(handle)).toEqual({ running: true });
  });

  it("find() knows a running VM by its folder alone, and nothing once it has ended", async () => {
    const handle = await vms.start("runs");
    expect(await vms.subject.newDriver().find(handle.vm, vms.folder)).toEqual(handle);
    await vms.driver.stop(handle, kill);
    expect(await vms.subject.newDriver().find(handle.vm, vms.folder)).toBeNull();
  });

  it("waitForExit() tells the code of one that ended by itself, as often as it is asked", async () => {
    const handle = await vms.start("prints-and-exits");
    expect(await vms.driver.waitForExit(handle, never)).toEqual({ code: 3, signal: null });
    expect(await vms.driver.waitForExit(handle, never)).toEqual({ code: 3, signal: null });
    expect(await vms.driver.inspect(handle)).toEqual({ running: false, exit: { code: 3, signal: null } });
  });

  it("what it wrote is in output.log when it has ended", async () => {
    await vms.driver.waitForExit(await vms.start("prints-and-exits"), never);
    expect(await readLastLines(join(vms.folder, "output.log"), 10)).toEqual(["one", "two"]);
  });

  it("waitForExit() of a driver that never saw the VM resolves when it ends", async () => {
    const handle = await vms.start("runs");
    const waiting = vms.subject.newDriver().waitForExit(handle, never);
    await vms.driver.stop(handle, kill);
    expect(Object.keys(await waiting).sort()).toEqual(["code", "signal"]);
  });

  it("waitForExit() rejects on abort and leaves the VM running", async () => {
    const handle = await vms.start("runs");
    const gone = new AbortController();
    const waiting = [vms.driver, vms.subject.newDriver()].map((one) => one.waitForExit(handle, gone.signal));
    gone.abort(new Error("enough"));
    for (const wait of waiting) await expect(wait).rejects.toThrow();
    expect(await vms.driver.inspect(handle)).toEqual({ running: true });
  });
}

function testStop(vms: Fixture): void {
  it("stop() sends the stop signal and resolves when it has ended", async () => {
    const handle = await vms.start("runs");
    await vms.subject.ready(vms.folder);
    const exit = await vms.driver.stop(handle, { stopSignal: "SIGTERM", timeoutMs: 60_000, signal: never });
    expect(exit).toEqual({ code: null, signal: "SIGTERM" });
    expect(await vms.driver.inspect(handle)).toEqual({ running: false, exit });
  });

  it("stop() kills one that ignores the signal at the deadline", async () => {
    const handle = await vms.start("ignores-stop");
    await vms.subject.ready(vms.folder);
    const exit = await vms.driver.stop(handle, { stopSignal: "SIGTERM", timeoutMs: 50, signal: never });
    expect(exit).toEqual({ code: null, signal: "SIGKILL" });
  });

  it("stop() rejects on abort, and a later stop() goes on", async () => {
    const handle = await vms.start("ignores-stop");
    await vms.subject.ready(vms.folder);
    const gone = new AbortController();
    const stopping = vms.driver.stop(handle, {
      stopSignal: "SIGTERM",
      timeoutMs: 60_000,
      signal: gone.signal,
    });
    gone.abort(new Error("enough"));
    await expect(stopping).rejects.toThrow();
    expect(await vms.driver.inspect(handle)).toEqual({ running: true });
    expect(await vms.driver.stop(handle, kill)).toEqual({ code: null, signal: "SIGKILL" });
  });

  it("stop() of one that has ended resolves at once, as often as it is called", async () => {
    const handle = await vms.start("prints-and-exits");
    await vms.driver.waitForExit(handle, never);
    expect(await vms.driver.stop(handle, kill)).toEqual({ code: 3, signal: null });
    expect(await vms.driver.stop(handle, kill)).toEqual({ code: 3, signal: null });
  });

  it("a command that is not there is refused with its name", async () => {
    await expect(vms.start("missing")).rejects.toMatchObject({
      name: "VmStartError",
      code: "command-not-found",
      message: expect.stringContaining(vms.subject.programs.missing[0] ?? ""),
    });
  });
}
