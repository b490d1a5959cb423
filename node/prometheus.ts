// Prometheus: metrics in its text format.

import type { HistogramView } from "../mesh/index.ts";

export interface Metric {
  readonly name: string;
  readonly type: "gauge" | "counter";
  readonly help: string;
  readonly samples: readonly (readonly [labels: string, value: number])[];
}

export function metricLines({ name, type, help, samples }: Metric): readonly string[] {
  const values = samples.map(([labels, value]) => `${name}${labels} ${value}`);
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...values];
}

export function histogramLines(
  name: string,
  help: string,
  { bounds, counts, sum }: HistogramView,
): readonly string[] {
  let total = 0;
  const buckets = [...bounds.map(String), "+Inf"].map((bound, at) => {
    total += counts[at] ?? 0;
    return `${name}_bucket{le="${bound}"} ${total}`;
  });
  const head = [`# HELP ${name} ${help}`, `# TYPE ${name} histogram`];
  return [...head, ...buckets, `${name}_sum ${sum}`, `${name}_count ${total}`];
}
