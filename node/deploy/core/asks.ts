// Asks: whom a step asks, and for what, in words. `deploy --plan` says it before the step, `explain` after it with the times of the answers:
// both from what decides when the step is over (`standing.ts`), so that neither can tell of another wait than there is.

import { type AppRecord, type Asked, describeDuration, type RolloutStep } from "../../../mesh/index.ts";
import { canReturn } from "./replacing.ts";

/** Without what came of it. */
export type Ask = Omit<Asked, "ms">;

export interface StandingAsk extends Ask {
  readonly isAnswered: boolean;
}

/** What the words need of the step. `isReplacing`: of a deploy on its way forward, where who takes old VMs away must reach the new. */
export interface AskedStep extends Pick<RolloutStep, "kind" | "vms" | "serves"> {
  readonly isReplacing: boolean;
}

/** "to have it in force, and to have reached hello-v2-1", after the name. */
export function describeAsk(ask: Ask, step: AskedStep): string {
  const on = ask.host === undefined ? "" : ` on ${ask.host}`;
  switch (ask.kind) {
    case "proxy":
      return describeProxyAsk(step);
    case "gate":
      return `to close ${ask.vm} at its gate, and to drain it`;
    case "vm":
      if (step.kind === "command") return `to end with code 0${on}`;
      if (step.kind === "prepare") return `to have at hand all that its start needs${on}`;
      return isEnding(ask, step) ? `to be gone${on}` : `to become healthy${on}`;
    case "approval":
      return `to be promoted by a person: \`grapevine promote ${ask.who}\``;
    case "counts":
      return "to tell what it counts";
    case "traffic":
      return "to get as many requests as min_requests asks, and the release before as many, and to be no worse by them";
    case "clock":
      return step.kind === "bake"
        ? `to bake for ${describeDuration(ask.forMs ?? 0)}, as bake asks`
        : `to stay healthy for ${describeDuration(ask.forMs ?? 0)}, as min_healthy_time asks`;
  }
}

function isEnding({ who }: Ask, { kind, vms }: AskedStep): boolean {
  return kind === "stop" || (kind === "handover" && vms.some((vm) => vm === who));
}

function describeProxyAsk({ kind, vms, serves = [], isReplacing }: AskedStep): string {
  switch (kind) {
    case "standby":
    case "serve":
      return `to have it in force, and to have reached ${vms.join(", ")}`;
    case "flip":
      return `to have it in force, to have reached ${serves.join(", ")}, and to have drained ${vms.join(", ")}`;
    // What leaves by weight runs on: nobody waits for its requests.
    case "weigh":
      return serves.length === 0
        ? "to have it in force"
        : `to have it in force, and to have reached ${serves.join(", ")}`;
    default: {
      const drained = `and to have drained ${vms.join(", ")}`;
      return isReplacing
        ? `to have it in force, to have reached the new VMs, ${drained}`
        : `to have it in force, ${drained}`;
    }
  }
}

/** For so long what the step in force starts must stay healthy; 0: no time. */
export function minHealthyMsOf({ rollout, releases }: AppRecord): number {
  const isAsked = canReturn({ rollout }) && rollout?.step?.kind === "start";
  const release = releases.find(({ number }) => number === rollout?.to);
  return isAsked ? (release?.spec.deploy.minHealthyMs ?? 0) : 0;
}

/** For so long at least the step in force looks at what the proxies count; 0: it does not. */
export function bakeMsOf({ rollout, releases }: AppRecord): number {
  if (rollout?.step?.kind !== "bake") return 0;
  return releases.find(({ number }) => number === rollout.to)?.spec.deploy.canary?.bakeMs ?? 0;
}
