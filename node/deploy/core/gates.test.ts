import { describe, expect, it } from "vitest";
import {
  type CommittedApp,
  type GateStanding,
  type MemberName,
  memberName,
  newVmEntry,
  type Start,
  type VmEntry,
  type VmName,
  vmName,
} from "../../../mesh/index.ts";
import { specOf } from "../testing/specs.ts";
import { HeardCounts } from "./canary/heard-counts.ts";
import { standingOfRollout } from "./decide.ts";
import type { Facts } from "./facts.ts";
import { areAllGated, wantsOfGates } from "./gates.ts";
import { leftoversOf, withoutLeftovers } from "./housekeeping.ts";

const OLD = vmName("hello-v1-1");
const HOST = memberName("host-1");
const HEARD = memberName("proxy-1");
const LOST = memberName("proxy-2");

/** A record that cordons the old VM, as the step of a rollout that waits for its answers. */
function cordoning({
  gate,
  state = "running",
  kind = "stop",
}: {
  gate?: "off";
  kind?: "stop" | "repair";
  state?: "running" | "succeeded";
} = {}): CommittedApp {
  const spec = { ...specOf("hello"), ...(gate === undefined ? {} : { gate }) };
  const step = { number: 1, kind: "cordon", vms: [OLD], ackSet: [HEARD, LOST], startedAtMs: 0 } as const;
  return {
    epoch: 7,
    record: {
      format: 1,
      app: "hello" as CommittedApp["record"]["app"],
      deleted: false,
      hostnames: spec.hostnames,
      releases: [{ number: 1, specHash: "a".repeat(64), spec, vmsNamed: 1, submittedAtMs: 0 }],
      current: 1,
      lastRelease: 1,
      vms: [{ vm: OLD, release: 1, host: HOST, phase: "cordoned", requires: null }],
      rollout: {
        id: "hello-7",
        kind,
        from: 1,
        to: 1,
        state,
        direction: "forward",
        driver: HOST,
        step: state === "running" ? step : null,
        history: [],
        reason: null,
        targets: [OLD],
        proxies: [HEARD, LOST],
        startedAtMs: 0,
        endedAtMs: null,
      },
    },
  };
}

/** Of the host as it is held. */
const START: Start = { incarnation: 2, startId: 7 };

/** The same, and a person said of that start of the host that it is off. */
function fencing(start: Start): CommittedApp {
  const { epoch, record } = cordoning();
  return { epoch, record: { ...record, fenced: [{ host: HOST, start, atMs: 0 }] } };
}

interface Seen {
  readonly isConnected?: boolean;
  readonly isHostKnown?: boolean;
  readonly hasGate?: boolean;
  readonly isStartedBehindIt?: boolean;
  readonly epoch?: number;
  readonly requests?: number;
  readonly fault?: string;
  readonly awaits?: readonly string[];
  readonly isHostLost?: boolean;
  /** Of the proxy that is heard. */
  readonly applied?: number;
  /** To the old VM, as that proxy counts. */
  readonly running?: number;
}

function factsOf({
  hasGate = true,
  isStartedBehindIt = true,
  epoch,
  requests = 0,
  fault,
  awaits,
  isHostLost = false,
  isConnected = !isHostLost,
  isHostKnown = true,
  applied = 7,
  running = 0,
}: Seen): Facts {
  const app = "hello" as GateStanding["app"];
  const blank = newVmEntry({ vm: OLD, app, release: 1, host: HOST });
  const entry: VmEntry = { ...blank, state: "running", ...(isStartedBehindIt ? { gated: true } : {}) };
  const inFlight = requests === 0 ? [] : [{ vm: OLD, requests }];
  const ack = {
    app,
    applied,
    verified: applied,
    nack: null,
    inFlight: running === 0 ? [] : [{ vm: OLD, requests: running }],
    cut: [],
    applyMs: 0,
    lastDispatch: [],
  };
  const whys = { ...(awaits === undefined ? {} : { awaits }), ...(fault === undefined ? {} : { fault }) };
  const standing = { app, inFlight, ...whys };
  return {
    vms: new Map([[OLD, new Map([[HOST, { entry, version: { incarnation: 1, startId: 1, counter: 1 } }]])]]),
    acks: new Map([[HEARD, ack]]),
    counts: new HeardCounts(),
    bakedMs: 0,
    gates: new Map(epoch === undefined ? [] : [[HOST, { ...standing, epoch }]]),
    proxies: new Map([
      [HEARD, { proxy: HEARD, registered: true, connected: true }],
      [LOST, { proxy: LOST, registered: true, connected: false }],
    ]),
    hosts: new Map(
      isHostKnown
        ? [[HOST, { host: HOST, open: !isHostLost, connected: isConnected, start: START, vms: 1, hasGate }]]
        : [],
    ),
    lost: new Set(isHostLost ? [HOST] : []),
    expected: new Set([HEARD, LOST]),
  };
}

function whoIsAwaited(seen: Seen, committed = cordoning()): readonly string[] {
  return standingOfRollout(committed, factsOf(seen)).wants.map(({ complaint }) => complaint);
}

describe("a step that takes a VM away", () => {
  it("waits for the gate before it to say that it closed it by this record", () => {
    expect(whoIsAwaited({})).toEqual(["host-1 has not closed hello-v1-1 at its gate"]);
    expect(whoIsAwaited({ epoch: 6 })).toEqual(["host-1 has not closed hello-v1-1 at its gate"]);
    expect(whoIsAwaited({ epoch: 7 })).toEqual([]);
    expect(whoIsAwaited({ epoch: 8 })).toEqual([]);
  });

  it("says why a gate cannot close it, if that says so", () => {
    expect(whoIsAwaited({ epoch: 6, fault: "database or disk is full" })).toEqual([
      "host-1 has not closed hello-v1-1 at its gate, which cannot write down what it closed: database or disk is full",
    ]);
  });

  it("names the proxies of its host without whose word the gate cannot say so", () => {
    const complaint = "host-1 has not closed hello-v1-1 at its gate, which waits for proxy-1, proxy-2";
    expect(whoIsAwaited({ epoch: 6, awaits: ["proxy-1", "proxy-2"] })).toEqual([complaint]);
  });

  it("waits for the gate of a lost host too, unless it only replaces what ran there: nobody stops that", () => {
    const closing =
      "host-1 has not closed hello-v1-1 at its gate (its host is not connected; if it is off, `grapevine host fence host-1`)";
    expect(whoIsAwaited({ isHostLost: true })).toEqual([closing]);
    expect(whoIsAwaited({ isHostLost: true }, cordoning({ kind: "repair" }))).toEqual([]);
    expect(whoIsAwaited({}, cordoning({ kind: "repair" }))).toHaveLength(1);
  });

  it("does not wait for the gate of a host that a person fenced, nor for a proxy that cannot be heard", () => {
    expect(whoIsAwaited({ isHostLost: true }, fencing(START))).toEqual([]);
    expect(whoIsAwaited({ isHostLost: true, hasGate: false }, fencing(START))).toEqual([]);
    expect(whoIsAwaited({ isHostLost: true, applied: 6 }, fencing(START))).toHaveLength(1);
  });

  it("does not wait for requests of proxies that run on a host which a person fenced: they do not end", () => {
    const busy = ["proxy-1 has 2 requests in flight to hello-v1-1"];
    expect(whoIsAwaited({ isHostLost: true, running: 2 }, fencing(START))).toEqual([]);
    expect(whoIsAwaited({ epoch: 7, running: 2 })).toEqual(busy);
  });

  it.each([
    ["is connected again", { isHostLost: false }, START],
    ["is connected, and registers no more", { isHostLost: true, isConnected: true }, START],
    ["has started anew since", { isHostLost: true }, { ...START, incarnation: 1 }],
    ["is not known here", { isHostLost: true, isHostKnown: false }, START],
  ] as const)("waits for the gate of a host that was fenced and %s", (_what, seen, start) => {
    expect(whoIsAwaited(seen, fencing(start))).toHaveLength(1);
  });

  it("waits until nothing runs there as the gate counts it", () => {
    expect(whoIsAwaited({ epoch: 7, requests: 2 })).toEqual([
      "host-1 has 2 requests in flight to hello-v1-1 at its gate",
    ]);
  });

  it("does not wait for a proxy that cannot be heard, whose requests the gate refuses, but for one that can", () => {
    expect(whoIsAwaited({ epoch: 7 })).toEqual([]);
    expect(whoIsAwaited({ epoch: 7, applied: 6 })).toEqual(["proxy-1 has not acknowledged epoch 7"]);
  });

  it.each([
    ["whose host has no gate", { hasGate: false, epoch: 7 }, cordoning()],
    ["that was started before its host had one", { isStartedBehindIt: false, epoch: 7 }, cordoning()],
    ["whose owner wants no gate", { epoch: 7 }, cordoning({ gate: "off" })],
  ] as const)("waits for every proxy, heard or not, of a VM %s", (_what, seen, committed) => {
    expect(whoIsAwaited(seen, committed)).toEqual(["proxy-2 has not acknowledged epoch 7 (not connected)"]);
    expect(areAllGated([OLD], committed, factsOf(seen))).toBe(false);
  });

  it("knows of no gate before a VM that the record does not name", () => {
    const committed = cordoning();
    const others: VmName[] = [vmName("hello-v9-9")];
    expect(areAllGated(others, committed, factsOf({}))).toBe(false);
    expect(areAllGated([], committed, factsOf({}))).toBe(false);
    expect(wantsOfGates(others, committed, factsOf({}))).toEqual([]);
  });
});

describe("what a rollout left over", () => {
  const keepersOf = (seen: Seen): readonly (MemberName | VmName)[] =>
    leftoversOf(cordoning({ state: "succeeded" }), factsOf(seen), 0).flatMap(({ wants }) =>
      wants.map(({ who }) => who),
    );

  it("is not kept by the gate of a host that is fenced, until that is back", () => {
    const { epoch, record } = fencing(START);
    const rollout = record.rollout === null ? null : { ...record.rollout, state: "succeeded", step: null };
    const committed = { epoch, record: { ...record, rollout } } as CommittedApp;
    const keepers = (seen: Seen) =>
      leftoversOf(committed, factsOf(seen), 0).flatMap(({ wants }) => wants.map(({ who }) => who));
    expect(keepers({ isHostLost: true })).toEqual([]);
    expect(withoutLeftovers(committed, factsOf({ isHostLost: true }), 0)?.vms).toEqual([]);
    expect(keepers({})).toEqual([HOST]);
    expect(withoutLeftovers(committed, factsOf({}), 0)).toMatchObject({ vms: [{ vm: OLD }] });
    expect(withoutLeftovers(committed, factsOf({}), 0)).not.toHaveProperty("fenced");
  });

  it("is kept by its gate until that has closed it, and by no proxy that cannot be heard", () => {
    expect(keepersOf({})).toEqual([HOST]);
    expect(keepersOf({ epoch: 7 })).toEqual([]);
    expect(keepersOf({ hasGate: false })).toEqual([LOST]);
  });
});
