// Story: what a rollout's record tells of it, put in the order in which it happened, with what was decided after each step.

import type { AppName, AppRecord, Rollout, RolloutStepReport } from "../../../mesh/index.ts";
import type { RolloutView, StepView } from "../app-view.ts";
import type { RolloutStory, StepStory } from "../story-view.ts";
import { describeAsk } from "./asks.ts";
import { describeStep, releaseName } from "./describe.ts";
import { rolloutId } from "./new-rollout.ts";
import { isReplacing } from "./replacing.ts";

/** Of a rollout that runs with the step in force; else as it was kept when it was over. */
export type ToldRollout = Omit<RolloutView, "step" | "cutover" | "stalled"> & {
  readonly step: StepView | null;
};

export function strategyOf(
  { releases }: AppRecord,
  { kind, to }: Pick<Rollout, "kind" | "to">,
): string | null {
  const release = releases.find(({ number }) => number === to);
  return kind === "deploy" || kind === "restart" ? (release?.spec.deploy.strategy ?? null) : null;
}

export function storyOf(app: AppName, told: ToldRollout): RolloutStory {
  const { id, kind, from, to, state, direction, driver, startedAtMs, endedAtMs, reason, history, step } =
    told;
  const reports = step === null ? history : [...history, reportOf(step, told)];
  return {
    app,
    rollout: id,
    kind,
    strategy: told.strategy ?? null,
    from: releaseName(from),
    to: releaseName(to),
    ...(told.leaves === undefined ? {} : { leaves: told.leaves }),
    state,
    direction,
    driver,
    startedAtMs,
    endedAtMs,
    reason,
    count:
      told.count === undefined || told.before === undefined
        ? null
        : { before: told.before, after: told.count },
    superseded:
      told.superseded === undefined ? null : { rollout: told.superseded.id, state: told.superseded.state },
    next: told.next === undefined ? null : rolloutId(app, told.next),
    except: told.except ?? [],
    dropped: (reports[0]?.number ?? 1) - 1,
    steps: reports.map((report, index) => {
      const running = step !== null && index === reports.length - 1;
      return {
        ...stepStory(report, told),
        running,
        decided: running ? null : decided(reports[index + 1], told),
      };
    }),
  };
}

/** The step in force as if it were over now. */
function reportOf(step: StepView, { direction }: ToldRollout): RolloutStepReport {
  const { number, kind, vms, serves, weights, forMs, answers = {}, waitingFor } = step;
  const waits = waitingFor.map(({ who, what }) => `${who} ${what}`);
  const outcome = waits.length === 0 ? "all have answered" : `waits for ${waits.join("; ")}`;
  return {
    number,
    kind,
    vms,
    ...(serves === undefined ? {} : { serves }),
    ...(weights === undefined ? {} : { weights }),
    ...(direction === "back" ? { back: true as const } : {}),
    waitedMs: forMs,
    outcome,
    ...answers,
  };
}

function stepStory(report: RolloutStepReport, told: ToldRollout): Omit<StepStory, "running" | "decided"> {
  const { number, kind, vms, serves = [], weights = null, back = false, startedAtMs } = report;
  const { waitedMs, epoch, outcome } = report;
  const direction = back ? "back" : "forward";
  const step = { kind, vms, serves, isReplacing: isReplacing({ rollout: { kind: told.kind, direction } }) };
  const asked = report.asked?.map((one) => {
    return { kind: one.kind, who: one.who, what: describeAsk(one, step), ms: one.ms };
  });
  return {
    number,
    kind,
    vms,
    serves,
    weights,
    back,
    afterMs: startedAtMs === undefined ? null : Math.max(0, startedAtMs - told.startedAtMs),
    waitedMs,
    epoch: epoch ?? null,
    asked: asked ?? null,
    askedMore: report.askedMore ?? 0,
    quorum: report.quorum ?? null,
    spared: report.spared ?? [],
    fenced: (report.fenced ?? []).flatMap(({ host, unsafe }) => (unsafe === true ? [] : [host])),
    forced: (report.fenced ?? []).flatMap(({ host, unsafe }) => (unsafe === true ? [host] : [])),
    outcome,
  };
}

/** What followed a step that is over. */
function decided(
  next: RolloutStepReport | undefined,
  { state, direction, reason }: ToldRollout,
): string | null {
  if (next !== undefined) {
    const back = next.back === true ? "back: " : "";
    return `${back}step ${next.number} ${describeStep(next)}`;
  }
  if (state !== "running") return reason === null ? state : `${state}: ${reason.message}`;
  return direction === "back" ? `back: ${reason?.message ?? ""}` : null;
}
