import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { type AppName, appName, memberName, newVmEntry, type VmName, vmName } from "../../mesh/index.ts";
import { Alone } from "./alone.ts";
import type { LifeState } from "./vm-life.ts";

type State = LifeState["state"];

const web = appName("web");
const MAY_RUN: readonly State[] = ["starting", "running", "stopping"];
const RUNS_NOT: readonly State[] = [
  "idle",
  "preparing",
  "placing",
  "prepared",
  "waiting",
  "removing",
  "gone",
  "exited",
  "failed",
];

/** The VMs of a host. Who is granted its turn starts in that call, as vm-run does. */
class Host {
  readonly alone: Alone;
  readonly granted: VmName[] = [];
  readonly #lives = new Map<VmName, { readonly app: AppName; readonly state: State }>();
  /** Of the others it is said that two of them may run at once. */
  isExclusive: (vm: VmName) => boolean = () => true;
  wantedEpoch: (vm: VmName, signal: AbortSignal) => Promise<number | null> = async () => 1;

  constructor() {
    this.alone = new Alone({
      wantedEpoch: (vm, signal) => this.wantedEpoch(vm, signal),
      lives: () => [...this.#lives].map(([vm, { app, state }]) => ({ ...this.#lifeOf(vm, app), state })),
    });
  }

  put(vm: VmName, state: State, app = web): void {
    this.#lives.set(vm, { app, state });
    this.alone.changed();
  }

  ask(vm: VmName, signal: AbortSignal = new AbortController().signal, app = web): Promise<void> {
    this.put(vm, "waiting", app);
    return this.alone.turn(this.#lifeOf(vm, app), signal, () => {
      this.granted.push(vm);
      this.put(vm, "starting", app);
    });
  }

  #lifeOf(vm: VmName, app: AppName) {
    return { entry: entryOf(vm, app), isExclusive: this.isExclusive(vm) };
  }

  /** Of the VMs of the app. */
  mayRun(): readonly VmName[] {
    return [...this.#lives].flatMap(([vm, { state }]) => (MAY_RUN.includes(state) ? [vm] : []));
  }
}

function entryOf(vm: VmName, app: AppName) {
  return newVmEntry({ vm, app, release: 1, host: memberName("host-1") });
}

/** What was asked of the records is answered, and what follows from it is done. */
async function answered(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
}

const old = vmName("old");
const next = vmName("next");

let host: Host;
beforeEach(() => {
  host = new Host();
});

describe("Alone", () => {
  it.each(MAY_RUN)("keeps a VM waiting while another of its app is %s", async (state) => {
    host.put(old, state);
    const turn = host.ask(next);
    await answered();
    expect(host.granted).toEqual([]);
    host.put(old, "exited");
    await turn;
    expect(host.granted).toEqual([next]);
  });

  it.each(RUNS_NOT)("lets it start beside one that is %s", async (state) => {
    host.put(old, state);
    await host.ask(next);
    expect(host.granted).toEqual([next]);
  });

  it("starts it in the very call that says that the other one is gone", async () => {
    host.put(old, "stopping");
    const turn = host.ask(next);
    await answered();
    host.put(old, "removing");
    expect(host.granted).toEqual([next]);
    await turn;
  });

  it("does not wait for VMs of other apps", async () => {
    host.put(old, "running", appName("other"));
    await host.ask(next);
    expect(host.granted).toEqual([next]);
  });

  it("starts nothing that the records, as a majority has them, do not want here", async () => {
    host.wantedEpoch = async () => null;
    await host.ask(next);
    host.put(old, "running");
    host.put(old, "exited");
    expect(host.granted).toEqual([]);
  });

  it("starts nothing that was called back, while it waits or while the records are read", async () => {
    const waiting = new AbortController();
    host.put(old, "running");
    const turn = host.ask(next, waiting.signal);
    await answered();
    waiting.abort();
    await turn;
    host.put(old, "exited");

    const asking = new AbortController();
    const asked = host.ask(vmName("asked"), asking.signal);
    asking.abort();
    await expect(asked).rejects.toThrow();
    expect(host.granted).toEqual([]);
  });

  it("has two that wait take turns, in the order in which they asked", async () => {
    const third = vmName("third");
    host.put(old, "running");
    const turns = [host.ask(next), host.ask(third)];
    await answered();
    host.put(old, "exited");
    expect(host.granted).toEqual([next]);
    host.put(next, "exited");
    expect(host.granted).toEqual([next, third]);
    await Promise.all(turns);
  });

  it("has those that may run twice wait for one that never does, and not for each other", async () => {
    const third = vmName("third");
    host.isExclusive = (vm) => vm === old;
    host.put(old, "stopping");
    const turns = [host.ask(next), host.ask(third)];
    await answered();
    expect(host.granted).toEqual([]);
    host.put(old, "exited");
    expect(host.granted).toEqual([next, third]);
    await Promise.all(turns);
    const back = host.ask(old);
    await answered();
    for (const vm of [next, third]) {
      expect(host.granted).toHaveLength(2);
      host.put(vm, "exited");
    }
    await back;
    expect(host.granted).toEqual([next, third, old]);
  });

  it("never has two VMs of an app run at once, in whatever order they ask, end and are called back", async () => {
    const names = ["a", "b", "c", "d"].map((name) => vmName(name));
    const action = fc.record({
      vm: fc.constantFrom(...names),
      what: fc.constantFrom("ask", "run", "stop", "end", "call back"),
    });
    const run = fc.asyncProperty(fc.array(action, { maxLength: 60 }), async (actions) => {
      const any = new Host();
      const asking = new Map<VmName, AbortController>();
      for (const { vm, what } of actions) {
        const runs = any.mayRun().includes(vm);
        if (what === "ask" && !runs && !asking.has(vm)) {
          const controller = new AbortController();
          asking.set(vm, controller);
          const ended = any.ask(vm, controller.signal).finally(() => asking.delete(vm));
          ended.catch(() => undefined);
        }
        if (what === "call back") asking.get(vm)?.abort();
        if (runs && what === "run") any.put(vm, "running");
        if (runs && what === "stop") any.put(vm, "stopping");
        if (runs && what === "end") any.put(vm, "exited");
        await answered();
        expect(any.mayRun().length).toBeLessThanOrEqual(1);
      }
      // Nobody is forgotten: once each that runs ends, each that asked was granted.
      for (const _ of names) for (const vm of any.mayRun()) any.put(vm, "exited");
      await answered();
      expect(asking.size).toBe(0);
    });
    await fc.assert(run);
  });
});
