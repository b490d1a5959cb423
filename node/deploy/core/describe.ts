// Describe: a record in one line, the same in logs, transcripts and dumps.

import type { AppRecord, CommittedApp, RolloutStep } from "../../../mesh/index.ts";
import { describeWeights, isUnderWay, type Weights } from "../../../mesh/words.ts";

/** "hello-v2 step 3 cordon hello-v1-1", "hello-v2 succeeded", "none". */
export function describeRollout(record: AppRecord | null): string {
  const rollout = record?.rollout;
  if (rollout == null) return "none";
  const name = rollout.kind === "deploy" ? rollout.id : `${rollout.kind} ${rollout.id}`;
  if (!isUnderWay(rollout)) return `${name} ${rollout.state}`;
  const paused = rollout.state === "paused" ? " paused:" : "";
  const back = rollout.direction === "back" ? " back:" : "";
  const { step } = rollout;
  return step === null
    ? `${name}${paused}${back} running`
    : `${name}${paused}${back} step ${step.number} ${step.kind} ${describeSubject(step)}`;
}

interface DescribedStep extends Pick<RolloutStep, "kind" | "vms" | "serves"> {
  readonly weights?: Weights | null;
}

/** "start hello-v2-1", "flip to hello-v2-1, from hello-v1-1", "handover to hello-v2-1, from hello-v1-1", "weigh v1=95 v2=5". */
export function describeStep(step: DescribedStep): string {
  const isBoth = step.kind === "flip" || step.kind === "handover";
  const into = isBoth ? `to ${(step.serves ?? []).join(" ")}, from ` : "";
  return `${step.kind} ${into}${describeSubject(step)}`;
}

/** What a step is about: its VMs, or the split that it brings; or that there is none any more. */
export function describeSubject({ kind, vms, weights }: DescribedStep): string {
  const split = weights == null ? "each VM alike" : describeWeights(weights);
  if (kind === "weigh") return split;
  return weights == null ? vms.join(" ") : `${vms.join(" ")} at ${split}`;
}

/** "epoch 7: hello-v2 step 3 cordon hello-v1-1 | hello-v1-1 cordoned@host-1, hello-v2-1 serving@host-2". */
export function describeRecord({ epoch, record }: CommittedApp): string {
  const vms = record.vms.map((vm) => `${vm.vm} ${vm.phase}@${vm.host}`).join(", ");
  const deleted = record.deleted ? ", deleted" : "";
  const split = record.weights === undefined ? "" : ` by weight ${describeWeights(record.weights)}`;
  return `epoch ${epoch}: ${describeRollout(record)} | ${vms === "" ? "no VMs" : vms}${split}${deleted}`;
}

/** "1 member", "3 members". */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** "v2"; null: there is none. */
export function releaseName(release: number | null): string | null {
  return release === null ? null : `v${release}`;
}

/** What a person holds no rollout sends on, however well it goes. */
export function describePersonHold(app: string): string {
  return `requests are held since somebody said \`grapevine hold ${app}\`: \`grapevine release ${app}\` sends them on`;
}

/** "scale of v1 from 1 to 3 VMs". */
export function describeScale(release: string | null, before: number, after: number): string {
  return `scale of ${release ?? "nothing"} from ${before} to ${counted(after, "VM")}`;
}
