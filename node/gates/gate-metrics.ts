// Gate metrics: what the gate of this host tells its agent of itself, as metrics of that agent: a gate listens for proxies alone.

import type { HistogramView } from "../../mesh/index.ts";
import { histogramLines, type Metric, metricLines } from "../prometheus.ts";

/** As the gate told it last; null: it is away. */
export interface ToldByGate {
  /** By name, as the gate names them. */
  readonly counters: Readonly<Record<string, number>>;
  readonly closings: HistogramView | null;
}

/** Of what a gate counts, that which also falls. */
const GAUGES = {
  "in-flight": ["in_flight_requests", "Requests that its VMs run, as the gate counts them."],
  "open-vms": ["open_vms", "VMs that take requests."],
  "draining-vms": ["draining_vms", "VMs that were closed and still run requests."],
  "disk-failing": ["disk_failing", "1: what is closed cannot be written down, and nothing is confirmed."],
} as const satisfies Readonly<Record<string, readonly [name: string, help: string]>>;

/** Counters of one metric, whose names end in what its label says. */
const LABELLED = [
  ["refused-", "refused_requests", "Requests that were refused before a byte of them reached a VM."],
  ["records-refused-", "refused_records", "Records that proxies handed in and that did not count."],
] as const;

const CLOSINGS_HELP =
  "From the record that closes a VM in force at the gate until it is on its disk: before that it is not confirmed.";
/** Names of one gate: far more than there are. */
const NAMES_MAX = 100;

export function gateMetrics(told: ToldByGate | null): readonly string[] {
  const up = metric("up", "gauge", "1: the gate of this host is there.", Number(told !== null));
  if (told === null) return metricLines(up);
  const { counters, closings } = told;
  const gauges = Object.entries(GAUGES).flatMap(([name, [metricName, help]]) =>
    counters[name] === undefined ? [] : [metric(metricName, "gauge", help, counters[name])],
  );
  const labelled = LABELLED.map(([prefix, name, help]) => reasons(counters, { prefix, name, help }));
  const others = Object.entries(counters)
    .filter(([name]) => !(name in GAUGES) && !LABELLED.some(([prefix]) => name.startsWith(prefix)))
    .slice(0, NAMES_MAX)
    .map(([name, value]) =>
      metric(`${plain(name)}_total`, "counter", "As the gate counts since its start.", value),
    );
  const lines = [up, ...gauges, ...labelled, ...others].flatMap(metricLines);
  if (closings === null) return lines;
  return [...lines, ...histogramLines("grapevine_gate_closing_seconds", CLOSINGS_HELP, closings)];
}

function reasons(
  counters: ToldByGate["counters"],
  { prefix, name, help }: { readonly prefix: string; readonly name: string; readonly help: string },
): Metric {
  const samples = Object.entries(counters)
    .filter(([counter]) => counter.startsWith(prefix))
    .slice(0, NAMES_MAX)
    .map(([counter, value]) => [`{reason="${plain(counter.slice(prefix.length))}"}`, value] as const);
  return { name: `grapevine_gate_${name}_total`, type: "counter", help, samples };
}

function metric(name: string, type: Metric["type"], help: string, value: number): Metric {
  return { name: `grapevine_gate_${name}`, type, help, samples: [["", value]] };
}

/** A name is the gate's word, and may be of another release. */
function plain(name: string): string {
  return name.replaceAll(/[^a-zA-Z0-9]/g, "_");
}
