import { expect, test } from "vitest";
import { gateMetrics } from "./gate-metrics.ts";

const CLOSINGS = { bounds: [0.01, 0.1], counts: [2, 1, 0], sum: 0.05 };

test("what a gate tells has the names and labels of its agent's metrics", () => {
  const counters = {
    ...{ requests: 40, "requests-cut": 1, "refused-ahead": 3, "refused-closed": 2, lost: 1 },
    ...{
      "records-handed-in": 5,
      "records-refused-unknown-list": 1,
      "in-flight": 4,
      "open-vms": 2,
      "draining-vms": 1,
    },
  };
  const values = gateMetrics({ counters, closings: CLOSINGS }).filter((line) => !line.startsWith("#"));
  expect(values).toEqual([
    "grapevine_gate_up 1",
    "grapevine_gate_in_flight_requests 4",
    "grapevine_gate_open_vms 2",
    "grapevine_gate_draining_vms 1",
    'grapevine_gate_refused_requests_total{reason="ahead"} 3',
    'grapevine_gate_refused_requests_total{reason="closed"} 2',
    'grapevine_gate_refused_records_total{reason="unknown_list"} 1',
    "grapevine_gate_requests_total 40",
    "grapevine_gate_requests_cut_total 1",
    "grapevine_gate_lost_total 1",
    "grapevine_gate_records_handed_in_total 5",
    'grapevine_gate_closing_seconds_bucket{le="0.01"} 2',
    'grapevine_gate_closing_seconds_bucket{le="0.1"} 3',
    'grapevine_gate_closing_seconds_bucket{le="+Inf"} 3',
    "grapevine_gate_closing_seconds_sum 0.05",
    "grapevine_gate_closing_seconds_count 3",
  ]);
});

test("a gate that is away is said to be, and nothing of what it told is", () => {
  expect(gateMetrics(null).filter((line) => !line.startsWith("#"))).toEqual(["grapevine_gate_up 0"]);
});

test("whatever names a gate tells, the lines stay well-formed and bounded", () => {
  const counters = Object.fromEntries(Array.from({ length: 5_000 }, (_, at) => [`odd "${at}"\n name{`, at]));
  const values = gateMetrics({ counters, closings: null }).filter((line) => !line.startsWith("#"));
  expect(values.length).toBeLessThan(200);
  for (const line of values) expect(line).toMatch(/^[a-z_]\w*(\{\w+="\w+"\})? \d+$/);
});
