// Phases: what a VM and its gate went through in a run, as the story of the rollout tells it. Nothing is added to what it says.

import type { RolloutStory, StepStory } from "../../../node/deploy/story-view.ts";

export interface Phase {
  readonly kind: "starting" | "healthy" | "standby" | "serving" | "draining" | "closed" | "stopping";
  readonly words: string;
  readonly fromMs: number;
  readonly toMs: number;
}

type Change = Pick<Phase, "kind" | "words" | "fromMs"> | { readonly kind: "gone"; readonly fromMs: number };

export function beganMs({ afterMs }: StepStory): number {
  if (afterMs === null) throw new Error("the story does not say any more when a step began");
  return afterMs;
}

export function tookMs({ startedAtMs, endedAtMs }: RolloutStory): number {
  if (endedAtMs === null) throw new Error("the rollout is not over");
  return endedAtMs - startedAtMs;
}

/** From before the rollout to `untilMs`. */
export function phasesOfVm(story: RolloutStory, vm: string, untilMs: number): readonly Phase[] {
  const isOld = !story.steps.some((step) => isBringing(step, vm));
  const first: Change = { kind: "serving", words: "serving", fromMs: Number.NEGATIVE_INFINITY };
  const changes = story.steps.flatMap((step, index) => changesOf(step, vm, story.steps.slice(index + 1)));
  return spread(isOld ? [first, ...changes] : changes, untilMs);
}

/** Of the gate before the VM that leaves. */
export function phasesOfGate(story: RolloutStory, vm: string, untilMs: number): readonly Phase[] {
  const open: Change = { kind: "serving", words: `open to ${vm}`, fromMs: Number.NEGATIVE_INFINITY };
  const closing = story.steps.flatMap((step): readonly Change[] => {
    if (!isLeaving(step, vm)) return [];
    return [
      { kind: "draining", words: "closing", fromMs: beganMs(step) },
      { kind: "closed", words: "closed", fromMs: drainedMs(step) },
    ];
  });
  return spread([open, ...closing], untilMs);
}

function changesOf(step: StepStory, vm: string, later: readonly StepStory[]): readonly Change[] {
  const fromMs = beganMs(step);
  if (isLeaving(step, vm)) {
    const isKept = !later.some(({ kind, vms }) => (kind === "stop" || kind === "handover") && named(vms, vm));
    const closed: Change = { kind: "closed", words: isKept ? "kept" : "closed", fromMs: drainedMs(step) };
    return [{ kind: "draining", words: "draining", fromMs }, closed];
  }
  if (step.kind === "weigh") return [{ kind: "serving", words: served(step, vm), fromMs }];
  if (!named(step.vms, vm) && !named(step.serves, vm)) return [];
  switch (step.kind) {
    case "prepare":
      return [{ kind: "standby", words: "prepared", fromMs }];
    case "handover":
      return handedOver(step, vm);
    case "start":
      return [
        { kind: "starting", words: "starting", fromMs },
        { kind: "healthy", words: "healthy", fromMs: fromMs + answeredMs(step, "vm") },
      ];
    case "standby":
      return [{ kind: "standby", words: "standby", fromMs }];
    case "serve":
    case "flip":
      return [{ kind: "serving", words: served(step, vm), fromMs }];
    case "stop":
      return [
        { kind: "stopping", words: "stopping", fromMs },
        { kind: "gone", fromMs: fromMs + answeredMs(step, "vm") },
      ];
    default:
      return [];
  }
}

/** The old one ends, and in the same breath the new one is started: when that was the story does not say, but when either was over. */
function handedOver({ asked, waitedMs, ...step }: StepStory, vm: string): readonly Change[] {
  const fromMs = beganMs({ asked, waitedMs, ...step });
  const doneMs = fromMs + (asked?.find(({ who }) => who === vm)?.ms ?? waitedMs);
  if (named(step.vms, vm))
    return [
      { kind: "stopping", words: "stopping", fromMs },
      { kind: "gone", fromMs: doneMs },
    ];
  return [
    { kind: "starting", words: "starting", fromMs },
    { kind: "healthy", words: "healthy", fromMs: doneMs },
  ];
}

function isBringing({ kind, vms, serves }: StepStory, vm: string): boolean {
  return kind === "start" || kind === "prepare" ? named(vms, vm) : kind === "handover" && named(serves, vm);
}

/** What its release gets of the requests from this step on. */
function served({ weights }: StepStory, vm: string): string {
  const own = weights?.find(({ release }) => vm.includes(`-v${release}-`))?.weight;
  if (own === undefined) return "serving";
  return own === 0 ? "weight 0" : `serving ${own} %`;
}

function isLeaving({ kind, vms }: StepStory, vm: string): boolean {
  return (kind === "cordon" || kind === "flip" || kind === "hold") && named(vms, vm);
}

function named(vms: readonly string[], vm: string): boolean {
  return vms.includes(vm);
}

function drainedMs(step: StepStory): number {
  return beganMs(step) + answeredMs(step, "gate");
}

/** From the step's begin to the last answer of this kind. */
function answeredMs({ asked, waitedMs }: StepStory, kind: "vm" | "gate"): number {
  const answers = (asked ?? []).filter((one) => one.kind === kind);
  return Math.max(...answers.map(({ ms }) => ms ?? waitedMs));
}

function spread(changes: readonly Change[], untilMs: number): readonly Phase[] {
  return changes.flatMap((change, index): readonly Phase[] => {
    const toMs = changes[index + 1]?.fromMs ?? untilMs;
    return change.kind === "gone" ? [] : [{ ...change, toMs }];
  });
}
