import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { appName, type Release, type VmName, vmName } from "../../mesh/index.ts";
import { FakeDriver, FakeMachine } from "./fake-driver.ts";
import { ProcessDriver } from "./process-driver.ts";
import type { VmDriver } from "./vm-driver.ts";
import type { WantedVm } from "./vm-host.ts";
import { HostHarness, release } from "./vm-host-harness.ts";

const OLD = vmName("hello-v1-1");
const NEW = vmName("hello-v2-1");

/** Of an app that never runs twice. */
function handed(number: number, phase: WantedVm["phase"], command: readonly string[] = ["run"]): WantedVm {
  const made = release({ command });
  const deploy = { ...made.spec.deploy, strategy: "handoff" } as const;
  const alone: Release = { ...made, number, spec: { ...made.spec, deploy } };
  return { vm: number === 1 ? OLD : NEW, app: appName("hello"), release: alone, phase };
}

describe("VMs of an app that never runs twice, on one host", () => {
  const machine = new FakeMachine();
  let harness: HostHarness;
  beforeEach(async () => {
    harness = await HostHarness.create(() => new FakeDriver(machine));
  });
  afterEach(() => harness.close());

  const startsOf = (name: string) => machine.started.filter(({ vm }) => vm === name).length;

  it("a prepared VM has all at hand and runs nothing, and one that could not be started says so", async () => {
    const host = await harness.startAgent();
    host.reconcile([handed(2, "prepared")]);
    await harness.entry({ state: "prepared", address: null }, NEW);
    expect(startsOf(NEW)).toBe(0);
    host.reconcile([]);
    await harness.gone(NEW);
    host.reconcile([handed(2, "prepared", ["no-such"])]);
    const { reason } = await harness.entry({ state: "failed" }, NEW);
    expect(reason).toContain("command not found");
    expect(startsOf(NEW)).toBe(0);
  });

  it("starts the new VM in the moment in which nothing of the old one runs any more, and has asked a majority meanwhile", async () => {
    const stopping = Promise.withResolvers<void>();
    const slow = new SlowStop(machine, stopping.promise);
    const host = await harness.startAgent(slow);
    host.reconcile([handed(1, "serving"), handed(2, "prepared")]);
    await harness.entry({ state: "running" }, OLD);
    await harness.entry({ state: "prepared" }, NEW);
    const before = startsOf(NEW);
    expect(machine.started.at(-1)?.env["GRAPEVINE_FENCE"]).toBe("1");
    harness.epoch = 7;
    host.reconcile([handed(2, "starting")]);
    await harness.entry({ state: "stopping" }, OLD);
    expect(startsOf(NEW)).toBe(before);
    expect(harness.published.get(NEW)?.state).toBe("prepared");
    stopping.resolve();
    await harness.entry({ state: "running" }, NEW);
    expect(machine.started.at(-1)?.env["GRAPEVINE_FENCE"]).toBe("7");
    expect(machine.running).toEqual([NEW]);
  });

  it("starts all VMs of a release that may run twice once the one before it has ended, and each again on its own", async () => {
    const [first, second] = [NEW, vmName("hello-v2-2")];
    const twice = (phase: WantedVm["phase"]) =>
      [first, second].map(
        (name): WantedVm => ({
          vm: name,
          app: appName("hello"),
          release: { ...release({ command: ["run"] }), number: 2 },
          phase,
        }),
      );
    const host = await harness.startAgent();
    host.reconcile([handed(1, "serving"), ...twice("prepared")]);
    await harness.entry({ state: "running" }, OLD);
    for (const name of [first, second]) await harness.entry({ state: "prepared" }, name);
    host.reconcile(twice("opening"));
    for (const name of [first, second]) await harness.entry({ state: "running" }, name);
    host.reconcile(twice("serving"));
    machine.end(first, { code: 1, signal: null });
    await harness.entry({ state: "running", restarts: 1 }, first);
    expect([...machine.running].sort()).toEqual([first, second]);
  });

  it("has asked for the new one before it ends the old one", async () => {
    const askedAtStop: VmName[] = [];
    const host = await harness.startAgent(new StopWatch(machine, () => askedAtStop.push(...harness.asked)));
    host.reconcile([handed(1, "serving"), handed(2, "prepared")]);
    await harness.entry({ state: "running" }, OLD);
    await harness.entry({ state: "prepared" }, NEW);
    host.reconcile([handed(2, "starting")]);
    await harness.entry({ state: "running" }, NEW);
    expect(askedAtStop).toEqual([OLD, NEW]);
  });

  it("starts nothing where nothing of the app runs, and a majority does not want it to", async () => {
    harness.isWanted = false;
    const before = startsOf(NEW);
    const host = await harness.startAgent();
    host.reconcile([handed(2, "starting")]);
    await harness.entry({ state: "prepared" }, NEW);
    expect(startsOf(NEW)).toBe(before);
    host.reconcile([]);
    await harness.gone(NEW);
  });

  it("an agent that starts again between the two keeps the order", async () => {
    const stuck = new SlowStop(machine, new Promise<void>(() => undefined));
    const first = await harness.startAgent(stuck);
    first.reconcile([handed(1, "serving"), handed(2, "prepared")]);
    await harness.entry({ state: "running" }, OLD);
    await harness.entry({ state: "prepared" }, NEW);
    first.reconcile([handed(2, "starting")]);
    await harness.entry({ state: "stopping" }, OLD);
    harness.forget(first);
    const stopping = Promise.withResolvers<void>();
    const before = startsOf(NEW);
    const second = await harness.startAgent(new SlowStop(machine, stopping.promise));
    second.reconcile([handed(2, "starting")]);
    await harness.entry({ state: "prepared" }, NEW);
    expect(machine.running).toEqual([OLD]);
    expect(startsOf(NEW)).toBe(before);
    stopping.resolve();
    await harness.entry({ state: "running" }, NEW);
    expect(machine.running).toEqual([NEW]);
  });
});

/** Its VMs end when the test says so. */
class SlowStop extends FakeDriver implements VmDriver {
  readonly #until: Promise<void>;

  constructor(machine: FakeMachine, until: Promise<void>) {
    super(machine);
    this.#until = until;
  }

  override async stop(...args: Parameters<FakeDriver["stop"]>): ReturnType<FakeDriver["stop"]> {
    await this.#until;
    return await super.stop(...args);
  }
}

class StopWatch extends FakeDriver implements VmDriver {
  readonly #onStop: () => void;

  constructor(machine: FakeMachine, onStop: () => void) {
    super(machine);
    this.#onStop = onStop;
  }

  override async stop(...args: Parameters<FakeDriver["stop"]>): ReturnType<FakeDriver["stop"]> {
    this.#onStop();
    return await super.stop(...args);
  }
}

describe("with real processes", () => {
  let harness: HostHarness;
  beforeEach(async () => {
    harness = await HostHarness.create(() => new ProcessDriver());
  });
  afterEach(() => harness.close());

  it("starts the new VM when the old one and the child that it left behind have ended", async () => {
    const log = `${harness.root}/log`;
    // The child outlives its parent by a while, and says when it ends.
    const child = `sh -c 'trap "" TERM; echo here >> ${log}; sleep 0.3; echo old >> ${log}' & exec sleep 100`;
    const host = await harness.startAgent();
    host.reconcile([
      handed(1, "serving", ["sh", "-c", child]),
      handed(2, "prepared", ["sh", "-c", `echo new >> ${log}; exec sleep 100`]),
    ]);
    await harness.entry({ state: "prepared" }, NEW);
    await lineIn(log, "here");
    host.reconcile([handed(2, "starting", ["sh", "-c", `echo new >> ${log}; exec sleep 100`])]);
    await harness.entry({ state: "running" }, NEW);
    await lineIn(log, "new");
    expect(readLines(log)).toEqual(["here", "old", "new"]);
  });
});

/** A file of a process has no event. */
async function lineIn(file: string, line: string): Promise<void> {
  while (!readLines(file).includes(line)) await new Promise((resolve) => setImmediate(resolve));
}

function readLines(file: string): readonly string[] {
  try {
    return readFileSync(file, "utf8").trimEnd().split("\n");
  } catch {
    return [];
  }
}
