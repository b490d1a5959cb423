import { expect, test } from "vitest";
import type { ConvergenceView } from "../../mesh/index.ts";
import { convergenceMetrics } from "./convergence-metrics.ts";

const NONE = { deadline: 0, "new-start": 0, bound: 0 };

test("convergenceMetrics() has cumulative buckets, and says why each lost write was lost", () => {
  const view: ConvergenceView = {
    proxies: {
      writes: 7,
      seconds: { bounds: [0.001, 0.25], counts: [2, 1, 1], sum: 3.5 },
      lost: { ...NONE, deadline: 3 },
    },
    stores: { writes: 0, seconds: { bounds: [1], counts: [0, 0], sum: 0 }, lost: NONE },
  };
  const lines = convergenceMetrics(view)
    .split("\n")
    .filter((line) => !line.startsWith("#"));
  expect(lines).toEqual([
    'grapevine_convergence_seconds_bucket{le="0.001"} 2',
    'grapevine_convergence_seconds_bucket{le="0.25"} 3',
    'grapevine_convergence_seconds_bucket{le="+Inf"} 4',
    "grapevine_convergence_seconds_sum 3.5",
    "grapevine_convergence_seconds_count 4",
    "grapevine_convergence_writes_total 7",
    'grapevine_convergence_lost_total{why="deadline"} 3',
    'grapevine_convergence_lost_total{why="new-start"} 0',
    'grapevine_convergence_lost_total{why="bound"} 0',
    'grapevine_convergence_stores_seconds_bucket{le="1"} 0',
    'grapevine_convergence_stores_seconds_bucket{le="+Inf"} 0',
    "grapevine_convergence_stores_seconds_sum 0",
    "grapevine_convergence_stores_seconds_count 0",
    "grapevine_convergence_stores_writes_total 0",
    'grapevine_convergence_stores_lost_total{why="deadline"} 0',
    'grapevine_convergence_stores_lost_total{why="new-start"} 0',
    'grapevine_convergence_stores_lost_total{why="bound"} 0',
  ]);
});
