import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  appKey,
  appName,
  type CommittedApp,
  encodeRecord,
  type MemberName,
  memberName,
  type Rollout,
  type Version,
  type VmEntry,
  vmKey,
  vmName,
} from "../../mesh/index.ts";
import { appRecord, desiredVm, HOST_1, type RecordOptions, vmEntry } from "../testing/cluster.ts";
import { RouteFold, type Verdict } from "./route-fold.ts";
import type { RouteTable } from "./route-table.ts";

const version = (counter: number): Version => ({ incarnation: 1, startId: 1, counter });

interface VmFact {
  readonly key: string;
  readonly value: Uint8Array | null;
  readonly version: Version;
  readonly owner: MemberName;
}

/** What a host wrote, or a record that came into force. */
type Fact = VmFact | CommittedApp;

function record(epoch: number, options: RecordOptions): CommittedApp {
  return { epoch, record: appRecord(options) };
}

function vm(
  name: string,
  counter: number,
  port: number | null,
  over: Partial<VmEntry> = {},
  owner = HOST_1,
): VmFact {
  return {
    key: vmKey(vmName(name)),
    value: encodeRecord(vmEntry(name, port, over)),
    version: version(counter),
    owner,
  };
}

function gone(name: string, counter: number): VmFact {
  return { key: vmKey(vmName(name)), value: null, version: version(counter), owner: HOST_1 };
}

/** A deploy on its way. */
function runningTo(to: number): Rollout {
  return {
    id: `hello-v${to}`,
    kind: "deploy",
    from: to - 1,
    to,
    state: "running",
    direction: "forward",
    driver: HOST_1,
    step: null,
    history: [],
    reason: null,
    targets: [],
    startedAtMs: 0,
    endedAtMs: null,
  };
}

function take(fact: Fact, into: RouteFold): Verdict {
  return "record" in fact ? into.takeCommitted(fact) : into.takeEntry(fact, fact.owner);
}

function fold(facts: readonly Fact[], into: RouteFold = new RouteFold()): RouteTable {
  for (const fact of facts) take(fact, into);
  return into.build();
}

/** A table without what depends on how many there were before it. */
function content(table: RouteTable): unknown {
  return [...table.apps.values()].sort((left, right) => (left.app < right.app ? -1 : 1));
}

const hello = appName("hello");

describe("RouteFold", () => {
  test("routes to the VMs that the record serves, at the address that their host gives", () => {
    const vms = [
      desiredVm("hello-v1-1"),
      desiredVm("hello-v2-1", "starting"),
      desiredVm("hello-v1-2", "cordoned"),
    ];
    const table = fold([
      record(1, { vms }),
      ...vms.map((desired, index) => vm(desired.vm, index + 1, 20_000 + index)),
    ]);
    expect(table.serial).toBe(1);
    const route = table.byHostname.get("hello.localhost");
    expect(route?.endpoints).toEqual([
      {
        vm: "hello-v1-1",
        app: "hello",
        release: 1,
        host: "host-1",
        address: { host: "127.0.0.1", port: 20_000 },
        healthy: true,
        hostAway: false,
        isGated: false,
        drainTimeoutMs: 30_000,
      },
    ]);
  });

  test("marks the endpoints of a host that is away, keeps them, and takes the mark off when it is back", () => {
    const state = new RouteFold();
    const vms = [desiredVm("hello-v1-1")];
    fold([record(1, { vms }), vm("hello-v1-1", 1, 20_000)], state);
    expect(state.setAway(new Set([HOST_1]))).toBe(true);
    const marked = state.build();
    expect(state.setAway(new Set([HOST_1]))).toBe(false);
    state.setAway(new Set());
    const back = state.build();
    const awayIn = (table: RouteTable) =>
      table.byHostname.get("hello.localhost")?.endpoints.map(({ hostAway }) => hostAway);
    expect([marked, back].map(awayIn)).toEqual([[true], [false]]);
    expect(back.serial).toBe(marked.serial + 1);
  });

  test("routes no more to the VMs of a host that is gone for good, and again when it is back", () => {
    const state = new RouteFold();
    const vms = [desiredVm("hello-v1-1")];
    fold([record(1, { vms }), vm("hello-v1-1", 5, 20_000)], state);
    state.forgetHost(memberName("host-2"));
    const before = state.build();
    state.forgetHost(HOST_1);
    const after = state.build();
    const back = fold([vm("hello-v1-1", 1, 20_001)], state);
    const portsIn = (table: RouteTable) =>
      table.byHostname.get("hello.localhost")?.endpoints.map(({ address }) => address.port);
    expect([before, after, back].map(portsIn)).toEqual([[20_000], [], [20_001]]);
  });

  test("ends in one table, whatever the order of the entries and however often each comes", () => {
    const facts = [
      record(1, { vms: [desiredVm("hello-v1-1")] }),
      record(2, { vms: [desiredVm("hello-v1-1"), desiredVm("hello-v2-1", "serving", version(6))] }),
      record(3, { vms: [desiredVm("hello-v1-1", "cordoned"), desiredVm("hello-v2-1")] }),
      record(1, {
        app: "other",
        vms: [desiredVm("other-v1-1")],
        hostnames: ["hello.localhost", "other.localhost"],
      }),
      vm("hello-v1-1", 1, 20_001),
      vm("hello-v1-1", 4, null, { state: "exited" }),
      vm("hello-v2-1", 5, null, { state: "preparing" }),
      vm("hello-v2-1", 6, 20_002),
      vm("hello-v2-1", 8, 20_003, { health: "unhealthy" }),
      vm("other-v1-1", 2, 20_004),
      gone("other-v1-1", 7),
      vm("hello-v2-1", 9, 1, {}, memberName("host-2")),
    ];
    const expected = fold(facts);
    const shuffled = fc.shuffledSubarray([...facts, ...facts], { minLength: facts.length });
    const run = fc.property(shuffled, fc.nat(3), (order, buildEvery) => {
      const state = new RouteFold();
      for (const [index, fact] of order.entries()) {
        take(fact, state);
        if (buildEvery > 0 && index % buildEvery === 0) state.build();
      }
      // What the order left out comes last, as anti-entropy would bring it.
      expect(content(fold(facts, state))).toEqual(content(expected));
      expect(state.build().byHostname.get("hello.localhost")?.app).toBe("hello");
    });
    fc.assert(run, { numRuns: 300 });
  });

  test("never goes back to an older epoch, nor to an older entry", () => {
    const state = new RouteFold();
    fold([record(5, { vms: [desiredVm("hello-v2-1")] }), vm("hello-v2-1", 9, 20_009)], state);
    const before = state.build();
    const after = fold([record(4, { vms: [desiredVm("hello-v1-1")] }), vm("hello-v2-1", 8, 20_008)], state);
    expect(after).toBe(before);
    expect(after.apps.get(hello)?.epoch).toBe(5);
  });

  test("believes of a VM only the host that the record names, and takes no record from an entry", () => {
    const stranger = memberName("host-9");
    const key = appKey(hello);
    const value = encodeRecord(appRecord({ vms: [] }));
    const table = fold([
      record(1, { vms: [desiredVm("hello-v1-1")] }),
      { key, value, version: version(9), owner: stranger },
      vm("hello-v1-1", 9, 6_666, {}, stranger),
    ]);
    expect(table.apps.get(hello)).toMatchObject({ epoch: 1, endpoints: [], unaddressed: ["hello-v1-1"] });
  });

  test("keeps the last address of a VM that has none now, and does not call it healthy", () => {
    const state = new RouteFold();
    fold([record(1, { vms: [desiredVm("hello-v1-1")] }), vm("hello-v1-1", 1, 20_001)], state);
    const failing: readonly (readonly [Fact, readonly string[]])[] = [
      [vm("hello-v1-1", 2, null, { state: "exited" }), ["hello-v1-1 exited on host-1"]],
      [vm("hello-v1-1", 3, null, { state: "preparing", health: "unknown" }), []],
      [gone("hello-v1-1", 4), ["hello-v1-1 is gone from host-1"]],
    ];
    for (const [fact, lost] of failing) {
      const route = fold([fact], state).apps.get(hello);
      expect(route?.endpoints).toMatchObject([{ address: { port: 20_001 }, healthy: false }]);
      expect(route?.lost).toEqual(lost);
    }
    const back = fold([vm("hello-v1-1", 5, 20_005)], state).apps.get(hello);
    expect(back?.endpoints).toMatchObject([{ address: { port: 20_005 }, healthy: true }]);
  });

  test("dials no VM itself that only the gate of its host reaches, though it does not know that gate: there its address is another one's", () => {
    const table = fold([
      record(1, { vms: [desiredVm("hello-v1-1")] }),
      vm("hello-v1-1", 1, 20_001, { gated: true }),
    ]);
    expect(table.apps.get(hello)).toMatchObject({ endpoints: [], unaddressed: ["hello-v1-1"] });
  });

  test("says which entries a record requires and does not have yet", () => {
    const state = new RouteFold();
    const vms = [desiredVm("hello-v1-1", "serving", version(3))];
    expect(fold([record(1, { vms })], state).apps.get(hello)?.missing).toHaveLength(1);
    expect(state.lacking(hello)).toEqual(["hello-v1-1"]);
    expect(fold([vm("hello-v1-1", 2, 20_001)], state).apps.get(hello)?.missing).toHaveLength(1);
    expect(fold([vm("hello-v1-1", 4, 20_001)], state).apps.get(hello)?.missing).toEqual([]);
    expect(state.lacking(hello)).toEqual([]);
  });

  test("awaits of a deploy what it serves, not what it replaces: an old VM that broke holds nothing up", () => {
    const vms = [desiredVm("hello-v1-1"), desiredVm("hello-v2-1")];
    const broken = vm("hello-v1-1", 2, null, { state: "exited", health: "unhealthy" });
    const facts = [vm("hello-v1-1", 1, 20_001), broken, vm("hello-v2-1", 1, 20_002)];
    const rollout = (over: Partial<Rollout>): Rollout => ({
      id: "hello-v2",
      kind: "deploy",
      from: 1,
      to: 2,
      state: "running",
      direction: "forward",
      driver: HOST_1,
      step: null,
      history: [],
      reason: null,
      targets: [vmName("hello-v1-1")],
      startedAtMs: 0,
      endedAtMs: null,
      ...over,
    });
    const serve = {
      number: 2,
      kind: "serve",
      vms: [vmName("hello-v2-1")],
      ackSet: [],
      startedAtMs: 0,
    } as const;
    const awaited = (over: Partial<Rollout> | null) => {
      const held = new RouteFold();
      const record = appRecord({ vms });
      held.takeCommitted({ epoch: 1, record: { ...record, rollout: over && rollout(over) } });
      const { apps } = fold(facts, held);
      const { awaited: names, lost } = apps.get(appName("hello")) ?? { awaited: [], lost: [] };
      return [names, lost];
    };
    expect(awaited({ step: serve })).toEqual([["hello-v2-1"], []]);
    expect(awaited({})).toEqual([["hello-v2-1"], []]);
    const lost = ["hello-v1-1 exited on host-1"];
    expect(awaited({ direction: "back" })).toEqual([["hello-v1-1"], lost]);
    expect(awaited({ kind: "stop" })).toEqual([["hello-v1-1", "hello-v2-1"], lost]);
    // What serves elsewhere and broke must not hold up a host that is drained.
    const started = {
      number: 1,
      kind: "start",
      vms: [vmName("hello-v2-1")],
      waitedMs: 0,
      outcome: "",
    } as const;
    expect(awaited({ kind: "move", history: [started] })).toEqual([["hello-v2-1"], []]);
    expect(awaited(null)).toEqual([["hello-v1-1", "hello-v2-1"], lost]);
  });

  test("leads to VMs on standby by the preview name of a bluegreen release alone, and dials them", () => {
    const vms = [desiredVm("hello-v1-1"), desiredVm("hello-v2-1", "standby")];
    const facts = [vm("hello-v1-1", 1, 20_001), vm("hello-v2-1", 2, 20_002)];
    const tableWith = (strategy: "immediate" | "bluegreen") => {
      const base = appRecord({ vms, hostnames: ["hello.test"] });
      const releases = base.releases.map((each) => {
        const deploy = { ...each.spec.deploy, strategy };
        return { ...each, spec: { ...each.spec, hostnames: ["hello.test"], deploy } };
      });
      const held = new RouteFold();
      held.takeCommitted({ epoch: 1, record: { ...base, releases, rollout: runningTo(2) } });
      return fold(facts, held);
    };
    const table = tableWith("bluegreen");
    const reached = (hostname: string) => table.byHostname.get(hostname)?.endpoints.map((each) => each.vm);
    expect([...table.byHostname.keys()]).toEqual(["hello.test", "preview.hello.test"]);
    expect(reached("hello.test")).toEqual(["hello-v1-1"]);
    expect(reached("preview.hello.test")).toEqual(["hello-v2-1"]);
    const route = tableWith("immediate").apps.get(appName("hello"));
    expect(route).toMatchObject({ standby: [{ vm: "hello-v2-1" }], preview: null, awaited: ["hello-v2-1"] });
  });

  test("raises the serial only when the table differs, and keeps the routes of apps that did not", () => {
    const state = new RouteFold();
    const other = record(1, { app: "other", vms: [] });
    const first = fold(
      [record(1, { vms: [desiredVm("hello-v1-1")] }), vm("hello-v1-1", 1, 20_001), other],
      state,
    );
    const same = fold([vm("hello-v1-1", 2, 20_001, { restarts: 7 }), vm("unknown-v1-1", 3, 1)], state);
    expect(same).toBe(first);
    const next = fold([vm("hello-v1-1", 4, 20_002)], state);
    expect(next.serial).toBe(first.serial + 1);
    expect(next.apps.get(appName("other"))).toBe(first.apps.get(appName("other")));
  });

  test("refuses what cannot be read, with a reason, and keeps the last good", () => {
    const state = new RouteFold();
    const before = fold([record(1, { vms: [desiredVm("hello-v1-1")] }), vm("hello-v1-1", 1, 20_001)], state);
    const bad: readonly VmFact[] = [
      { ...vm("hello-v1-1", 2, 20_002), value: new Uint8Array([0xc1]) },
      { ...vm("hello-v1-1", 2, 20_002), value: encodeRecord({ ...vmEntry("hello-v1-1", 1), extra: 1 }) },
      { ...vm("other-v1-1", 2, 20_002), key: "vm/hello-v1-1" },
    ];
    for (const fact of bad) {
      const verdict = take(fact, state);
      expect(verdict).toMatchObject({ kind: "refused", reason: expect.stringContaining(fact.key) });
    }
    expect(state.build()).toBe(before);
  });

  test("keeps a destroyed app's epoch, and none of its routes", () => {
    const table = fold([record(7, { vms: [], deleted: true })]);
    expect(table.apps.get(hello)).toMatchObject({ epoch: 7, hostnames: [] });
    expect(table.byHostname.size).toBe(0);
  });
});
