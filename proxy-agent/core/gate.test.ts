import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type AppName, appName, type CommittedApp, memberName, vmName } from "../../mesh/index.ts";
import { GATE_CUT_MARGIN_MS } from "../limits.ts";
import { appRecord, desiredVm, HOST_1 } from "../testing/cluster.ts";
import { type FlightId, Gate, type GateEffect } from "./gate.ts";

const HELLO: AppName = appName("hello");
const OLD = "hello-v1-1";
const NEW = "hello-v2-1";
const DRAIN_MS = 100;

/** A record that sends requests to these VMs, and no longer to those. */
function committed(
  epoch: number,
  serving: readonly string[],
  cordoned: readonly string[] = [],
): CommittedApp {
  const vms = [...serving.map((vm) => desiredVm(vm)), ...cordoned.map((vm) => desiredVm(vm, "cordoned"))];
  return { epoch, record: appRecord({ vms, drainTimeoutMs: DRAIN_MS }) };
}

function request(gate: Gate, flight: number, vm: string, epoch: number): string {
  const asked = { type: "request", flight: flight as FlightId, app: HELLO, vm: vmName(vm), epoch } as const;
  const [effect] = gate.step(asked, 0);
  return effect?.type === "refuse" ? effect.why : (effect?.type ?? "nothing");
}

function ended(gate: Gate, flight: number): readonly GateEffect[] {
  return gate.step({ type: "ended", flight: flight as FlightId }, 0);
}

/** Open, with this record in force and on disk. */
function openGate(record: CommittedApp): Gate {
  const gate = new Gate({ host: HOST_1 });
  gate.step({ type: "restored", apps: [record], isOpened: true }, 0);
  return gate;
}

describe("a gate of VMs that are kept for pages", () => {
  test("has them open until a record keeps them no more, and confirms that only once what runs there is over", () => {
    const vms = [desiredVm(OLD, "cordoned"), desiredVm(NEW)];
    const of = (keeps?: number) =>
      appRecord({ vms, cutover: "pinned", ...(keeps === undefined ? {} : { keeps }) });
    const gate = openGate({ epoch: 2, record: of(1) });
    expect(request(gate, 1, OLD, 2)).toBe("admit");
    gate.step({ type: "record", committed: { epoch: 3, record: of() } }, 0);
    gate.step({ type: "persisted", app: HELLO, epoch: 3 }, 0);
    expect(request(gate, 2, OLD, 3)).toBe("closed");
    expect(gate.standing(HELLO)).toMatchObject({ epoch: 3, inFlight: [{ vm: OLD, requests: 1 }] });
    ended(gate, 1);
    expect(gate.standing(HELLO)).toMatchObject({ epoch: 3, inFlight: [] });
  });
});

describe("a gate that starts", () => {
  test("refuses all without a disk until it has the records of a majority, whatever records come before", () => {
    const gate = new Gate({ host: HOST_1 });
    gate.step({ type: "restored", apps: [], isOpened: false }, 0);
    gate.step({ type: "record", committed: committed(3, [OLD]) }, 0);
    gate.step({ type: "persisted", app: HELLO, epoch: 3 }, 0);
    expect(request(gate, 1, OLD, 3)).toBe("shut");
    expect(gate.standings()).toEqual([]);
    expect(gate.step({ type: "current" }, 0)).toEqual([
      { type: "persist-opened" },
      { type: "confirm", app: HELLO },
    ]);
    expect(request(gate, 2, OLD, 3)).toBe("admit");
  });

  test("stays shut with a disk that has records of a start that never heard a majority", () => {
    const gate = new Gate({ host: HOST_1 });
    gate.step({ type: "restored", apps: [committed(3, [OLD])], isOpened: false }, 0);
    expect(request(gate, 1, OLD, 3)).toBe("shut");
  });

  test("opens what its disk says was open, and no more", () => {
    const gate = openGate(committed(3, [NEW], [OLD]));
    expect([request(gate, 1, NEW, 3), request(gate, 2, OLD, 3)]).toEqual(["admit", "closed"]);
  });
});

describe("a request", () => {
  test("that goes by an older record is refused, cordoned or not", () => {
    expect(request(openGate(committed(4, [OLD])), 1, OLD, 3)).toBe("ahead");
  });

  test("that goes by a newer record is refused until that record is here", () => {
    const gate = openGate(committed(4, [OLD]));
    expect(request(gate, 1, NEW, 5)).toBe("behind");
    gate.step({ type: "record", committed: committed(5, [OLD, NEW]) }, 0);
    expect(request(gate, 2, NEW, 5)).toBe("admit");
  });

  test("to a VM that the gate does not have is refused for ever", () => {
    const gate = openGate(committed(4, [OLD]));
    expect(request(gate, 1, "hello-v9-9", 4)).toBe("closed");
    gate.step({ type: "tick" }, Number.MAX_SAFE_INTEGER);
    expect(request(gate, 2, "hello-v9-9", 4)).toBe("closed");
  });

  test("to a VM of another host is refused", () => {
    const gate = new Gate({ host: memberName("host-2") });
    gate.step({ type: "restored", apps: [committed(4, [OLD])], isOpened: true }, 0);
    expect(request(gate, 1, OLD, 4)).toBe("closed");
  });

  test("to an app that was destroyed is refused", () => {
    const { epoch, record } = committed(4, [OLD]);
    expect(request(openGate({ epoch, record: { ...record, deleted: true } }), 1, OLD, 4)).toBe("closed");
  });
});

describe("closing", () => {
  test("holds at once, and is confirmed once it is on disk", () => {
    const gate = openGate(committed(4, [OLD]));
    expect(gate.step({ type: "record", committed: committed(5, [NEW], [OLD]) }, 0)).toEqual([
      { type: "closed", app: HELLO, vm: OLD },
      { type: "persist", app: HELLO, epoch: 5 },
    ]);
    expect([request(gate, 1, OLD, 4), request(gate, 2, OLD, 5)]).toEqual(["ahead", "closed"]);
    expect(gate.standing(HELLO)?.epoch).toBe(4);
    expect(gate.step({ type: "persisted", app: HELLO, epoch: 5 }, 0)).toEqual([
      { type: "confirm", app: HELLO },
    ]);
    expect(gate.standing(HELLO)).toEqual({ app: HELLO, epoch: 5, inFlight: [] });
  });

  test("tells what still runs there until the last of it ended", () => {
    const gate = openGate(committed(4, [OLD]));
    request(gate, 1, OLD, 4);
    request(gate, 2, OLD, 4);
    gate.step({ type: "record", committed: committed(5, [NEW], [OLD]) }, 0);
    gate.step({ type: "persisted", app: HELLO, epoch: 5 }, 0);
    expect(gate.standing(HELLO)?.inFlight).toEqual([{ vm: OLD, requests: 2 }]);
    expect(ended(gate, 1)).toEqual([]);
    expect(ended(gate, 2)).toEqual([{ type: "confirm", app: HELLO }]);
    expect(gate.standing(HELLO)?.inFlight).toEqual([]);
  });

  test("cuts what still runs a little after the time that the app allows, and not before", () => {
    const gate = openGate(committed(4, [OLD]));
    request(gate, 1, OLD, 4);
    const atMs = 1_000 + DRAIN_MS + GATE_CUT_MARGIN_MS;
    const effects = gate.step({ type: "record", committed: committed(5, [], [OLD]) }, 1_000);
    expect(effects).toContainEqual({ type: "schedule", atMs });
    expect(gate.step({ type: "tick" }, atMs - 1)).toEqual([{ type: "schedule", atMs }]);
    expect(gate.step({ type: "tick" }, atMs)).toEqual([{ type: "cut", flights: [1] }]);
  });

  test("is undone by a later record only, which spares what runs", () => {
    const gate = openGate(committed(4, [OLD]));
    request(gate, 1, OLD, 4);
    gate.step({ type: "record", committed: committed(5, [], [OLD]) }, 0);
    gate.step({ type: "record", committed: committed(4, [OLD]) }, 0);
    gate.step({ type: "tick" }, DRAIN_MS);
    expect(request(gate, 2, OLD, 5)).toBe("closed");
    gate.step({ type: "record", committed: committed(6, [OLD]) }, 0);
    expect(request(gate, 3, OLD, 6)).toBe("admit");
    expect(gate.step({ type: "tick" }, Number.MAX_SAFE_INTEGER)).toEqual([]);
  });

  test("describes itself in one line", () => {
    const gate = openGate(committed(4, [OLD]));
    request(gate, 1, OLD, 4);
    gate.step({ type: "record", committed: committed(5, [NEW], [OLD]) }, 0);
    expect(gate.describe()).toBe(`open; hello@5 (on disk 4): ${NEW} (0); ${OLD} drains (1)`);
  });
});

test("what was confirmed as closed admits nothing before a later record opens it, through any restart (seeded)", () => {
  const act = fc.oneof(
    fc.record({ kind: fc.constant("record" as const), epoch: fc.nat(4) }),
    fc.record({ kind: fc.constant("ask" as const), vm: fc.nat(1), epoch: fc.nat(4) }),
    fc.constantFrom(
      { kind: "sync" as const },
      { kind: "restart" as const },
      { kind: "lose-disk" as const },
      { kind: "majority" as const },
    ),
  );
  const vms = [OLD, NEW];
  // Of each epoch one record, as the register has it: which VMs serve.
  const history = fc.array(fc.subarray(vms), { minLength: 5, maxLength: 5 });
  fc.assert(
    fc.property(history, fc.array(act, { maxLength: 60, size: "max" }), (serving, acts) => {
      const recordOf = (epoch: number) => committed(epoch, serving[epoch] ?? []);
      let gate = new Gate({ host: HOST_1 });
      let disk = { epoch: 0, isOpened: false };
      let wanted = { ...disk };
      /** The newest epoch that was ever confirmed, by which voters may have stopped what it closes. */
      let confirmed = 0;
      let flight = 0;
      const perform = (effects: readonly GateEffect[]) => {
        for (const effect of effects) {
          if (effect.type === "persist") wanted = { ...wanted, epoch: effect.epoch };
          if (effect.type === "persist-opened") wanted = { ...wanted, isOpened: true };
        }
        confirmed = Math.max(confirmed, gate.standing(HELLO)?.epoch ?? 0);
      };
      const start = () => {
        gate = new Gate({ host: HOST_1 });
        wanted = { ...disk };
        const apps = disk.epoch === 0 ? [] : [recordOf(disk.epoch)];
        perform(gate.step({ type: "restored", apps, isOpened: disk.isOpened }, 0));
      };
      start();
      for (const one of acts) {
        if (one.kind === "record" && one.epoch > 0)
          perform(gate.step({ type: "record", committed: recordOf(one.epoch) }, 0));
        if (one.kind === "sync") {
          disk = { ...wanted };
          perform(gate.step({ type: "persisted", app: HELLO, epoch: disk.epoch }, 0));
        }
        if (one.kind === "lose-disk") disk = { epoch: 0, isOpened: false };
        if (one.kind === "restart" || one.kind === "lose-disk") start();
        if (one.kind === "majority") {
          // A majority knows at least what was ever confirmed.
          if (confirmed > 0) perform(gate.step({ type: "record", committed: recordOf(confirmed) }, 0));
          perform(gate.step({ type: "current" }, 0));
        }
        if (one.kind === "ask") {
          const vm = vms[one.vm] ?? OLD;
          flight += 1;
          if (request(gate, flight, vm, one.epoch) !== "admit") continue;
          expect(one.epoch).toBeGreaterThanOrEqual(confirmed);
          expect(serving[one.epoch]).toContain(vm);
        }
      }
    }),
    { numRuns: 500 },
  );
});
