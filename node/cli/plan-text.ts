// Plan text: what a deploy would do, as a person reads it before it is done.

import { describeStep } from "../deploy/core/describe.ts";
import type { AskView, CostView, PlannedStepView, PlanView } from "../deploy/plan-view.ts";
import { formatDuration, plainText } from "./table.ts";

export function planText(plan: PlanView): string {
  const from = plan.from === null ? "the first deploy" : `a deploy from ${plan.from} to ${plan.to}`;
  const head = plan.joined
    ? `${plan.rollout}: ${from}, ${plan.strategy}, on its way already: the steps that are left`
    : `${plan.rollout}: ${from}, ${plan.strategy}; a plan, nothing was changed`;
  const lines = [
    head,
    ...plan.steps.flatMap(stepLines),
    ...(plan.stuck === null ? [] : [`here it could not go on: ${plan.stuck}`]),
    `at the end: ${plan.end}`,
    `if nothing comes nearer for ${formatDuration(plan.waitTimeoutMs)}, it goes back to ${plan.from ?? "nothing"}`,
    ...costLines(plan.costs),
  ];
  return lines.map((line) => `${plainText(line)}\n`).join("");
}

function stepLines(step: PlannedStepView): readonly string[] {
  return [
    `step ${step.number} ${describePlanned(step)}`,
    ...askLines(step.asks, step.quorum).map((line) => `  waits for ${line}`),
    ...step.spared.map(({ proxy, why }) => `  does not ask ${proxy}: ${SPARED_WORDS[why]}`),
  ];
}

/** "start hello-v2-1 on host-2": where what is to come is placed. */
function describePlanned(step: PlannedStepView): string {
  const { kind, vms, hosts } = step;
  if (kind !== "prepare" && kind !== "start" && kind !== "command") return describeStep(step);
  const named = vms.map((vm, index) => (hosts[index] === undefined ? vm : `${vm} on ${hosts[index]}`));
  return `${kind} ${named.join(", ")}`;
}

/** Those who are asked the same are named together: "proxy-1, proxy-2 to have it in force". */
function askLines(asks: readonly AskView[], quorum: number): readonly string[] {
  const groups = new Map<string, AskView[]>();
  for (const ask of asks) groups.set(ask.what, [...(groups.get(ask.what) ?? []), ask]);
  return [...groups.values()].map((group) => {
    const names = group.map(({ who }) => who).join(", ");
    const isShare = group[0]?.kind === "proxy" && quorum < group.length;
    const share = isShare ? `${quorum} of ` : "";
    return `${share}${names} ${group[0]?.what}`;
  });
}

export const SPARED_WORDS = {
  person: "a person excluded it",
  silence: "excluded for its silence",
  unheard: "it cannot be heard, and gates refuse what it would send",
} as const;

function costLines(costs: readonly CostView[]): readonly string[] {
  if (costs.length === 0) return ["no request can fail: nothing routes to it"];
  const lines = costs.map(({ what, steps }) => `  ${what}${stepsText(steps)}`);
  return ["what may cost a request, or time:", ...lines];
}

function stepsText(steps: readonly number[]): string {
  if (steps.length === 0) return "";
  const shown = steps.length <= 6 ? steps.join(", ") : `${steps.slice(0, 5).join(", ")}, …, ${steps.at(-1)}`;
  return ` (step ${shown})`;
}
