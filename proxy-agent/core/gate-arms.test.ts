import fc from "fast-check";
import { expect, test } from "vitest";
import { type CommittedApp, memberName } from "../../mesh/index.ts";
import { appRecord, desiredVm, HOST_1 } from "../testing/cluster.ts";
import type { ArmId } from "./arms.ts";
import { Gate, type GateEffect } from "./gate.ts";

const HELLO = appRecord({ vms: [] }).app;
const VMS = [desiredVm("hello-v1-1").vm, desiredVm("hello-v2-1").vm] as const;
type Vm = (typeof VMS)[number];

interface Right {
  readonly epoch: number;
  readonly vms: readonly Vm[];
}

interface Answer {
  readonly epoch: number;
  readonly inFlight: readonly { readonly vm: Vm; readonly requests: number }[];
}

/** A proxy's process and its end of the link. What lies unread in a queue it does not know yet. */
interface ArmProcess {
  readonly id: ArmId;
  isAlive: boolean;
  /** The gate knows that it is gone. */
  isForgotten: boolean;
  isLinked: boolean;
  right: Right | null;
  readonly flights: Map<Vm, number>;
  toArm: (Right | "end")[];
  toGate: Answer[];
}

/** A gate with its disk, arms as processes, and whatever the links between them carry. */
class World {
  #gate = new Gate({ host: HOST_1 });
  #onDisk = 0;
  #isOpenOnDisk = true;
  #wanted = 0;
  /** The newest record that this life of the gate holds. */
  #held = 0;
  readonly #serving: readonly (readonly Vm[])[];
  /** Those too that are gone. */
  readonly #arms: ArmProcess[] = [];
  readonly #current = new Map<number, ArmProcess>();
  /** The newest epoch that was ever confirmed. */
  confirmed = 0;

  constructor(serving: readonly (readonly Vm[])[]) {
    this.#serving = serving;
    this.#startGate();
  }

  record(epoch: number): void {
    if (epoch === 0) return;
    this.#held = Math.max(this.#held, epoch);
    this.#perform(this.#gate.step({ type: "record", committed: this.#recordOf(epoch) }, 0));
  }

  sync(): void {
    this.#onDisk = this.#wanted;
    this.#isOpenOnDisk = this.#gate.isOpen;
    if (this.#onDisk > 0)
      this.#perform(this.#gate.step({ type: "persisted", app: HELLO, epoch: this.#onDisk }, 0));
  }

  restartGate(): void {
    for (const arm of this.#arms) if (arm.isLinked) this.#endLink(arm);
    this.#startGate();
  }

  /** It starts with nothing, and shut until `open`. */
  loseDisk(): void {
    this.#onDisk = 0;
    this.#isOpenOnDisk = false;
    this.restartGate();
  }

  /** Its agent has read a majority: whatever was confirmed is there. */
  open(): void {
    if (this.#gate.isOpen) return;
    this.record(this.confirmed);
    this.#perform(this.#gate.step({ type: "current" }, 0));
  }

  /** Of an arm that is there; of none one is started. */
  arm(index: number): ArmProcess {
    const found = this.#current.get(index);
    if (found?.isAlive) return found;
    const id = `arm-${index}-${this.#arms.length}` as ArmId;
    const arm: ArmProcess = {
      id,
      isAlive: true,
      isForgotten: false,
      isLinked: false,
      right: null,
      flights: new Map(),
      toArm: [],
      toGate: [],
    };
    this.#arms.push(arm);
    this.#current.set(index, arm);
    return arm;
  }

  /** Not before it has read that its link of before ended: one that is told so gives up its rights. */
  attach(arm: ArmProcess): void {
    if (arm.isLinked || arm.toArm.length > 0) return;
    arm.isLinked = true;
    arm.toGate = [];
    const inFlight = [...arm.flights].map(([vm, requests]) => ({ app: HELLO, vm, requests }));
    this.#perform(
      this.#gate.step({ type: "arm-attached", arm: arm.id, proxy: memberName("proxy-1"), inFlight }, 0),
    );
  }

  loseLink(arm: ArmProcess): void {
    if (!arm.isLinked) return;
    this.#endLink(arm);
    this.#perform(this.#gate.step({ type: "arm-lost", arm: arm.id }, 0));
  }

  armReads(arm: ArmProcess): void {
    const message = arm.toArm.shift();
    if (message === "end") arm.right = null;
    else if (message !== undefined) {
      arm.right = message;
      this.#answer(arm);
    }
  }

  gateReads(arm: ArmProcess): void {
    const answer = arm.toGate.shift();
    if (answer === undefined || !arm.isLinked) return;
    this.#perform(this.#gate.step({ type: "arm-answered", arm: arm.id, app: HELLO, ...answer }, 0));
  }

  dispatch(arm: ArmProcess, vm: Vm): void {
    if (arm.right?.vms.includes(vm) !== true) return;
    expect(arm.right.epoch).toBeGreaterThanOrEqual(this.confirmed);
    arm.flights.set(vm, (arm.flights.get(vm) ?? 0) + 1);
  }

  end(arm: ArmProcess, vm: Vm): void {
    const left = (arm.flights.get(vm) ?? 0) - 1;
    if (left > 0) arm.flights.set(vm, left);
    if (left !== 0) return;
    arm.flights.delete(vm);
    if (arm.right?.vms.includes(vm) === false) this.#answer(arm);
  }

  kill(arm: ArmProcess): void {
    arm.isAlive = false;
    arm.right = null;
    arm.flights.clear();
  }

  /** The kernel shows that they are gone. */
  gateLooks(): void {
    for (const arm of this.#arms) {
      if (arm.isAlive || arm.isForgotten) continue;
      arm.isForgotten = true;
      arm.isLinked = false;
      this.#perform(this.#gate.step({ type: "arm-gone", arm: arm.id }, 0));
    }
  }

  /** Everybody reads everything, and the disk is synced: what is closed is confirmed then. */
  settle(): void {
    this.open();
    this.sync();
    this.gateLooks();
    for (const arm of this.#arms.filter(({ isAlive }) => isAlive)) {
      while (arm.toArm.length > 0) this.armReads(arm);
      this.attach(arm);
      for (const vm of VMS) while ((arm.flights.get(vm) ?? 0) > 0) this.end(arm, vm);
      while (arm.toArm.length > 0) this.armReads(arm);
      while (arm.toGate.length > 0) this.gateReads(arm);
    }
    expect(this.#gate.standing(HELLO)?.epoch ?? 0).toBe(this.#held);
    expect(this.#gate.standing(HELLO)?.inFlight ?? []).toEqual([]);
  }

  #answer(arm: ArmProcess): void {
    const { right } = arm;
    if (right === null || !arm.isLinked) return;
    const left = [...arm.flights].filter(([vm]) => !right.vms.includes(vm));
    arm.toGate.push({ epoch: right.epoch, inFlight: left.map(([vm, requests]) => ({ vm, requests })) });
  }

  #endLink(arm: ArmProcess): void {
    arm.isLinked = false;
    arm.toGate = [];
    arm.toArm.push("end");
  }

  #startGate(): void {
    this.#gate = new Gate({ host: HOST_1 });
    this.#wanted = this.#onDisk;
    this.#held = this.#onDisk;
    const apps = this.#onDisk === 0 ? [] : [this.#recordOf(this.#onDisk)];
    const effects = this.#gate.step({ type: "restored", apps, isOpened: this.#isOpenOnDisk }, 0);
    for (const arm of this.#arms)
      if (arm.isAlive) this.#gate.step({ type: "arm-found", arm: arm.id, proxy: memberName("proxy-1") }, 0);
      else arm.isForgotten = true;
    this.#perform(effects);
  }

  #perform(effects: readonly GateEffect[]): void {
    for (const effect of effects) {
      if (effect.type === "persist") this.#wanted = effect.epoch;
      if (effect.type !== "grant") continue;
      const { epoch, vms } = effect;
      this.#arms.find(({ id }) => id === effect.arm)?.toArm.push({ epoch, vms: vms as readonly Vm[] });
    }
    this.#judge();
  }

  /** What is confirmed holds for every process that lives, whatever it has heard. */
  #judge(): void {
    const standing = this.#gate.standing(HELLO);
    this.confirmed = Math.max(this.confirmed, standing?.epoch ?? 0);
    if (standing === null || standing.epoch !== this.#held) return;
    const serving = this.#serving[standing.epoch] ?? [];
    for (const vm of VMS) {
      const isDrained = !serving.includes(vm) && standing.inFlight.every((one) => one.vm !== vm);
      if (isDrained) for (const arm of this.#arms) expect(arm.flights.get(vm) ?? 0).toBe(0);
    }
  }

  #recordOf(epoch: number): CommittedApp {
    const vms = VMS.map((vm) =>
      desiredVm(vm, this.#serving[epoch]?.includes(vm) === true ? "serving" : "cordoned"),
    );
    return { epoch, record: appRecord({ vms }) };
  }
}

test("no arm sends to a VM that was confirmed as closed, and none runs there uncounted, through any restart, loss and death (seeded)", () => {
  const arm = fc.nat(1);
  const vm = fc.constantFrom(...VMS);
  const act = fc.oneof(
    fc.record({ kind: fc.constant("record" as const), epoch: fc.nat(4) }),
    fc.record({
      kind: fc.constantFrom("attach", "lose-link", "arm-reads", "gate-reads", "kill"),
      arm,
    }),
    fc.record({ kind: fc.constantFrom("dispatch", "end"), arm, vm }),
    fc.record({ kind: fc.constantFrom("sync", "restart", "look", "lose-disk", "open") }),
  );
  const history = fc.array(fc.subarray([...VMS]), { minLength: 5, maxLength: 5 });
  fc.assert(
    fc.property(history, fc.array(act, { maxLength: 80, size: "max" }), (serving, acts) => {
      const world = new World(serving);
      for (const one of acts) {
        const found = "arm" in one ? world.arm(one.arm) : null;
        if (one.kind === "record" && "epoch" in one) world.record(one.epoch);
        if (one.kind === "sync") world.sync();
        if (one.kind === "restart") world.restartGate();
        if (one.kind === "look") world.gateLooks();
        if (one.kind === "lose-disk") world.loseDisk();
        if (one.kind === "open") world.open();
        if (found === null) continue;
        if (one.kind === "attach") world.attach(found);
        if (one.kind === "lose-link") world.loseLink(found);
        if (one.kind === "arm-reads") world.armReads(found);
        if (one.kind === "gate-reads") world.gateReads(found);
        if (one.kind === "kill") world.kill(found);
        if (one.kind === "dispatch" && "vm" in one) world.dispatch(found, one.vm);
        if (one.kind === "end" && "vm" in one) world.end(found, one.vm);
      }
      world.settle();
    }),
    { numRuns: 2_000 },
  );
});

test("what an arm runs of before is counted when its VM is closed while the gate, whose disk was lost, is shut", () => {
  const [vm] = VMS;
  const world = new World([[], [vm], []]);
  const arm = world.arm(0);
  world.record(1);
  world.attach(arm);
  world.armReads(arm);
  world.dispatch(arm, vm);
  world.loseDisk();
  world.armReads(arm);
  world.record(1);
  world.attach(arm);
  world.record(2);
  world.sync();
  world.open();
  world.settle();
});
