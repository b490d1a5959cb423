// Strategy: the recipe of a rollout, as a pure function from what the record holds to the steps that are left.

import type { RolloutStep, VmName, VmPhase, Weights } from "../../../../mesh/index.ts";
import { isLeaving } from "../quorum.ts";

/** One step to come. Of a `start` the names are those that the next VMs get; `serves` is a `flip`'s, a `weigh`'s and a `handover`'s, `weights` of a step that splits the requests anew. */
export interface PlannedStep {
  readonly kind: RolloutStep["kind"];
  readonly vms: readonly VmName[];
  readonly serves?: readonly VmName[];
  /** How requests are split from this step on; null: each serving VM counts alike. Absent: as they were. */
  readonly weights?: Weights | null;
  /** Whether the app's requests are held from this step on: placed in the commit that begins it, or lifted. Absent: as before. */
  readonly hold?: "placed" | "lifted";
}

export interface PlannedVm {
  readonly vm: VmName;
  readonly release: number;
  readonly phase: VmPhase;
}

export interface PlanInput {
  readonly vms: readonly PlannedVm[];
  /** VMs whose cordon was the last step and is complete: only they may be stopped now. */
  readonly retiring: readonly VmName[];
  /** What shall run in the end. Null release: nothing of any release counts as wanted. */
  readonly target: { readonly release: number | null; readonly count: number };
  /** Name of the `index`th VM of the target release that is started from here on, from 0. */
  readonly nameOf: (index: number) => VmName;
  /** VMs above the target's count that may run for the time of the rollout. */
  readonly surge: number;
  /** VMs below the target's count that may be missing for that time: with `surge` 1 or more, and less than the count. */
  readonly unavailable: number;
  /** A person must say that the new VMs may take over, and has not. */
  readonly needsApproval: boolean;
  /** The release whose VMs are kept, cordoned, when all is done; null: none is. */
  readonly kept: number | null;
  /** Absent: the new release takes over without one. */
  readonly canary?: CanaryPlan;
  /** Requests change over at once, and are held for that. `isHeld`: they are now, by the last step. Absent: each proxy changes over as it learns. */
  readonly atomic?: { readonly isHeld: boolean };
  /** Of an app that never runs twice. `together`: one host has all of its VMs and gets the next. Absent: VMs may run side by side. */
  readonly handoff?: { readonly together: boolean };
}

/** Of a canary, as far as it is. */
interface CanaryPlan {
  /** Percents that are to come, the next first. */
  readonly left: readonly number[];
  /** Percent of the requests that the target release gets now; null: no split is in force. */
  readonly present: number | null;
}

export interface Strategy {
  /** All steps that are left, in order; empty: the target is reached. Called anew before each step. */
  plan(input: PlanInput): readonly PlannedStep[];
}

/** Calls `nextStep` until it has none. A recipe that comes to no end is a bug. */
export function unrolled(
  input: PlanInput,
  nextStep: (input: PlanInput) => PlannedStep | null,
): readonly PlannedStep[] {
  const steps: PlannedStep[] = [];
  let now = input;
  let started = 0;
  // Each VM is started, put on standby, served, cordoned and stopped at most once on the way, a few more are dropped or put back.
  const ofCanary = 2 * (input.canary?.left.length ?? 0) + 2;
  const stepsMax = 6 * (input.vms.length + input.target.count) + 6 + ofCanary;
  for (;;) {
    const from = started;
    const step = nextStep({ ...now, nameOf: (index) => input.nameOf(from + index) });
    if (step === null) return steps;
    steps.push(step);
    if (steps.length > stepsMax) throw new Error(`strategy: no end after ${stepsMax} steps`);
    started += startedBy(now.vms, step).length;
    const vms = applyPlanned(now.vms, step, input.target.release);
    const isCordon = isLeaving(step.kind);
    const needsApproval = now.needsApproval && step.kind !== "approve";
    const after = { ...canaryAfter(now, step), ...atomicAfter(now, step) };
    now = { ...now, vms, needsApproval, retiring: isCordon ? step.vms : [], ...after };
  }
}

/** VMs that come with the step. */
function startedBy(
  vms: readonly PlannedVm[],
  { kind, vms: names, serves = [] }: PlannedStep,
): readonly VmName[] {
  const known = new Set(vms.map(({ vm }) => vm));
  if (kind === "handover") return serves.filter((vm) => !known.has(vm));
  return kind === "start" || kind === "prepare" ? names.filter((vm) => !known.has(vm)) : [];
}

function canaryAfter(
  { canary, target }: PlanInput,
  { kind, weights }: PlannedStep,
): Pick<PlanInput, "canary"> {
  if (canary === undefined) return {};
  if (kind === "bake") return { canary: { ...canary, left: canary.left.slice(1) } };
  if (weights === undefined) return { canary };
  const own = weights?.find(({ release }) => release === target.release);
  return { canary: { ...canary, present: weights === null ? null : (own?.weight ?? 0) } };
}

function atomicAfter({ atomic }: PlanInput, { kind }: PlannedStep): Pick<PlanInput, "atomic"> {
  return atomic === undefined ? {} : { atomic: { isHeld: kind === "hold" } };
}

/** VMs sorted by what the record wants of them. */
export type Phases = Readonly<Record<VmPhase, readonly PlannedVm[]>>;

function byPhase(vms: readonly PlannedVm[]): Phases {
  const of = (phase: VmPhase) => vms.filter((vm) => vm.phase === phase);
  return {
    prepared: of("prepared"),
    starting: of("starting"),
    opening: of("opening"),
    standby: of("standby"),
    serving: of("serving"),
    cordoned: of("cordoned"),
  };
}

/** Both sides of a deploy: the VMs that are of the target release, and all others. */
export function sidesOf({ vms, target }: Pick<PlanInput, "vms" | "target">): {
  readonly wanted: Phases;
  readonly others: Phases;
} {
  const isWanted = ({ release }: PlannedVm) => release === target.release;
  return { wanted: byPhase(vms.filter(isWanted)), others: byPhase(vms.filter((vm) => !isWanted(vm))) };
}

/** Names of the next VMs of the target release. */
export function nextNames({ nameOf }: Pick<PlanInput, "nameOf">, count: number): readonly VmName[] {
  return Array.from({ length: count }, (_, index) => nameOf(index));
}

export function stepOf(kind: RolloutStep["kind"], vms: readonly PlannedVm[]): PlannedStep {
  return { kind, vms: vms.map((vm) => vm.vm) };
}

/** What the record would hold after `step`. */
export function applyPlanned(
  vms: readonly PlannedVm[],
  step: PlannedStep,
  release: number | null,
): readonly PlannedVm[] {
  const named = new Set(step.vms);
  const entering = new Set(step.serves);
  const fresh = (phase: VmPhase) =>
    startedBy(vms, step).map((vm): PlannedVm => ({ vm, release: release ?? 0, phase }));
  const move = (phase: VmPhase) => vms.map((vm) => (named.has(vm.vm) ? { ...vm, phase } : vm));
  switch (step.kind) {
    case "prepare":
      return [...vms, ...fresh("prepared")];
    case "start":
      return [...move("starting"), ...fresh("starting")];
    case "handover":
      return [...vms.filter((vm) => !named.has(vm.vm)), ...fresh("opening")].map((vm) =>
        entering.has(vm.vm) ? { ...vm, phase: "opening" } : vm,
      );
    case "standby":
      return move("standby");
    case "approve":
    case "command":
    case "bake":
      return vms;
    case "serve":
      return move("serving");
    // What leaves by weight goes where it came from: not a strategy's to say.
    case "weigh":
    case "flip":
      return move("cordoned").map((vm) => (entering.has(vm.vm) ? { ...vm, phase: "serving" } : vm));
    case "hold":
    case "cordon":
      return move("cordoned");
    case "stop":
      return vms.filter((vm) => !named.has(vm.vm));
  }
}
