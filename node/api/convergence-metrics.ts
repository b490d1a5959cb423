// Convergence metrics: how soon what this host wrote was in force everywhere, as Prometheus histograms.

import type { ConvergenceView } from "../../mesh/index.ts";
import { histogramLines } from "../prometheus.ts";

type GoalView = ConvergenceView["proxies"];

const GOALS = {
  proxies: {
    name: "grapevine_convergence",
    help: "From a write of a VM or a record here to the last live registered proxy that routes by it.",
  },
  stores: {
    name: "grapevine_convergence_stores",
    help: "From a write of a VM or a record here to the last member, host or proxy, whose store has it.",
  },
} as const;

/** In Prometheus' text format. Writes are those measured, those lost, and those under way. */
export function convergenceMetrics(view: ConvergenceView): string {
  return [...goalLines("proxies", view.proxies), ...goalLines("stores", view.stores)].join("\n");
}

function goalLines(goal: keyof typeof GOALS, { writes, seconds, lost }: GoalView): readonly string[] {
  const { name, help } = GOALS[goal];
  const losses = Object.entries(lost).map(([why, count]) => `${name}_lost_total{why="${why}"} ${count}`);
  return [
    ...histogramLines(`${name}_seconds`, `${help} Upper bound, on this agent's own clock.`, seconds),
    `# HELP ${name}_writes_total Writes that somebody had to get.`,
    `# TYPE ${name}_writes_total counter`,
    `${name}_writes_total ${writes}`,
    `# HELP ${name}_lost_total Writes that somebody never said to have: in time, before a new start, within the bound.`,
    `# TYPE ${name}_lost_total counter`,
    ...losses,
  ];
}
