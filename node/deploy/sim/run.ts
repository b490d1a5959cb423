// Run: one deploy with at most one fault of its driver, at one event, to its end. What was violated, if anything was.

import assert from "node:assert/strict";
import { messageOf } from "../../../mesh/index.ts";
import type { BreakName } from "./breaks.ts";
import type { Scenario } from "./scenarios.ts";
import { SimCluster } from "./sim-cluster.ts";

/**
 * What becomes of the driver. `crash-lost`, `crash-late`: it dies, its proposal is lost with it or comes through after its death;
 * it starts again a while later. `crash-for-good`: it does not, until all is mended. `pause-…`: it stands still for a while, another
 * takes over, and it goes on with what it believed. `pause-unnoticed`: nobody takes over.
 */
const FAULTS = {
  "crash-lost": { returnsAfter: 25 },
  "crash-late": { returnsAfter: 25 },
  "crash-for-good": { returnsAfter: null },
  "pause-unnoticed": { returnsAfter: 4 },
  "pause-short": { returnsAfter: 10 },
  "pause-long": { returnsAfter: 60 },
} as const;

type FaultName = keyof typeof FAULTS;
export const FAULT_NAMES = Object.keys(FAULTS) as readonly FaultName[];

/** Events until the others hold a driver that stands still dead. */
const NOTICED_AFTER = 5;

export interface Fault {
  readonly kind: FaultName;
  /** Before this event, counted from the deploy on. */
  readonly atEvent: number;
}

export interface RunOptions {
  readonly scenario: Scenario;
  readonly faults: readonly Fault[];
  readonly broken: BreakName | null;
  /** null: in turn, the same for all. */
  readonly random: (() => number) | null;
}

export interface RunResult {
  readonly events: number;
  readonly commits: number;
  /** How the deploy ended. */
  readonly state: string;
  readonly violation: string | null;
  /** All that happened, the newest last. */
  readonly lines: readonly string[];
}

export function run({ scenario, faults, broken, random }: RunOptions): RunResult {
  let turn = 0;
  const inTurn = (count: number) => {
    turn += 1;
    return turn % count;
  };
  const pick = random === null ? inTurn : (count: number) => Math.floor(random() * count);
  const cluster = new SimCluster({ scenario, broken, pick });
  try {
    cluster.prepare();
    cluster.deploy();
    scheduleFaults(cluster, faults);
    cluster.runUntilQuiet();
    // Twice: only when drivers are back it may come to what disturbs them.
    for (let round = 0; round < 2; round += 1) {
      cluster.heal();
      cluster.runUntilQuiet();
    }
    judgeEnd(cluster, scenario);
    return { ...resultOf(cluster), violation: null };
  } catch (error) {
    return { ...resultOf(cluster), violation: messageOf(error) };
  }
}

function resultOf({ events, commits, record, lines }: SimCluster): Omit<RunResult, "violation"> {
  return { events, commits, state: record?.rollout?.state ?? "none", lines };
}

function scheduleFaults(cluster: SimCluster, faults: readonly Fault[]): void {
  const due = new Map<number, (() => void)[]>();
  const at = (event: number, act: () => void) => due.set(event, [...(due.get(event) ?? []), act]);
  const strikeAt = (event: number) => {
    const acts = due.get(event) ?? [];
    due.delete(event);
    for (const act of acts) act();
  };
  for (const fault of faults) at(fault.atEvent, () => strike(cluster, fault, at));
  cluster.onEvent = () => strikeAt(cluster.events);
  // Nothing goes on until the next of them: what it is about returns, or is held dead.
  cluster.onQuiet = () => {
    const next = Math.min(...due.keys());
    if (next === Number.POSITIVE_INFINITY) return false;
    strikeAt(next);
    return true;
  };
}

function strike(
  cluster: SimCluster,
  { kind, atEvent }: Fault,
  at: (event: number, act: () => void) => void,
): void {
  const driver = cluster.inCharge;
  if (driver.condition !== "up") return;
  const { returnsAfter } = FAULTS[kind];
  const isCrash = kind.startsWith("crash");
  if (isCrash) cluster.crash(driver, kind === "crash-late" ? "late" : "lost");
  else cluster.pause(driver);
  if (!isCrash && returnsAfter !== null && returnsAfter > NOTICED_AFTER) {
    at(atEvent + NOTICED_AFTER, () => cluster.holdDead(driver, true));
  }
  if (returnsAfter === null) return;
  at(atEvent + returnsAfter, () => (isCrash ? cluster.restart(driver) : cluster.resume(driver)));
  // A while in which both think that they drive.
  if (!isCrash) at(atEvent + returnsAfter + NOTICED_AFTER, () => cluster.holdDead(driver, false));
}

/** Liveness: it ended, as it must, and what runs is what the record wants. */
function judgeEnd({ record, entries }: SimCluster, { fate, count, before }: Scenario): void {
  const rollout = record?.rollout;
  assert.ok(record != null && rollout != null && rollout.state !== "running", "the rollout does not end");
  const names = record.vms.map(({ vm }) => vm).sort();
  assert.deepEqual([...entries.keys()].sort(), names, "what runs is not what the record wants");
  const serving = record.vms.filter(({ phase }) => phase === "serving");
  assert.equal(serving.length, record.vms.length, "something is left that does not serve");
  const isNew = rollout.state === "succeeded";
  assert.equal(serving.length, isNew ? count : before, `${rollout.state}, and not as many serve as shall`);
  const releases = new Set(serving.map(({ release }) => release));
  assert.deepEqual([...releases], [isNew ? 2 : 1], `${rollout.state}, and another release serves`);
  if (fate !== "healthy")
    assert.ok(!isNew || fate === "breaks-late", "a release that does not start cannot succeed");
}
