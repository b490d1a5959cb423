// Rollout metrics: what runs, as this voter sees it, and what it brought about as a driver. The number of series is bounded.

import { ROLLOUT_KINDS } from "../../mesh/index.ts";
import { type Metric, metricLines } from "../prometheus.ts";
import type { AppView } from "./app-view.ts";
import type { RolloutCounters } from "./rollout-counters.ts";

/** Rollouts that are named, those whose step takes longest first: `grapevine_rollouts_running` counts all. */
const NAMED_MAX = 100;
const STATES = ["succeeded", "failed", "rolled-back", "aborted"] as const;

/** `views`: of all apps that are not deleted. */
export function rolloutMetrics(views: readonly AppView[], counters: RolloutCounters): string {
  return [runningOf(views), ...stepsOf(views), excludedOf(views), ...driven(counters)]
    .flatMap(metricLines)
    .join("\n");
}

function runningOf(views: readonly AppView[]): Metric {
  return {
    name: "grapevine_rollouts_running",
    type: "gauge",
    help: "Rollouts that run, as this voter sees it.",
    samples: [["", views.filter(({ rollout }) => rollout?.state === "running").length]],
  };
}

function stepsOf(views: readonly AppView[]): readonly Metric[] {
  const steps = views.flatMap(({ app, rollout }) => {
    if (rollout?.state !== "running" || rollout.step === null) return [];
    const { kind, direction, step } = rollout;
    const labels = `{app="${app}",kind="${kind}",direction="${direction}",step="${step.kind}"}`;
    return [{ labels, forMs: step.forMs, waiting: step.waitingFor.length }];
  });
  const named = steps.sort((left, right) => right.forMs - left.forMs).slice(0, NAMED_MAX);
  const gauge = (name: string, help: string, of: (step: (typeof named)[number]) => number): Metric => ({
    name,
    type: "gauge",
    help,
    samples: named.map((step) => [step.labels, of(step)] as const),
  });
  return [
    gauge(
      "grapevine_rollout_step_seconds",
      "Since when the step in force waits.",
      ({ forMs }) => forMs / 1e3,
    ),
    gauge("grapevine_rollout_step_waits", "How many it waits for.", ({ waiting }) => waiting),
  ];
}

function excludedOf(views: readonly AppView[]): Metric {
  const count = (by: string) =>
    views.flatMap(({ excluded = [] }) => excluded).filter((exclusion) => exclusion.by === by).length;
  return {
    name: "grapevine_rollout_exclusions",
    type: "gauge",
    help: "Proxies that apps do not ask, once for each app, by who said so.",
    samples: (["person", "silence"] as const).map((by) => [`{by="${by}"}`, count(by)]),
  };
}

function driven(counters: RolloutCounters): readonly Metric[] {
  const ended = ROLLOUT_KINDS.flatMap((kind) =>
    STATES.map((state) => [`{kind="${kind}",state="${state}"}`, counters.ended(kind, state)] as const),
  );
  return [
    {
      name: "grapevine_rollouts_ended_total",
      type: "counter",
      help: "Rollouts that this agent drove to their end.",
      samples: ended,
    },
    {
      name: "grapevine_rollout_takeovers_total",
      type: "counter",
      help: "Rollouts that this agent went on with, which another had driven.",
      samples: [["", counters.takeovers]],
    },
  ];
}
