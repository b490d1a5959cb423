// Three projects: `unit` is part of `npm run check`; `sim` runs many seeds of the simulator, and the register's model, on all cores;
// `cluster` starts real agents and proxies.
import { defineConfig } from "vitest/config";

const SIM_TESTS = ["mesh/sim/chaos.test.ts", "mesh/sim/register-model/*.test.ts"];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["{mesh,node,proxy-agent,cluster-tests}/**/*.test.ts"],
          exclude: ["cluster-tests/scenarios/**", ...SIM_TESTS],
          // Says that a test hangs, not that it is slow: many start processes, and a busy machine takes its time over those.
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: "sim",
          include: SIM_TESTS,
          // Each takes all cores by itself.
          fileParallelism: false,
        },
      },
      {
        test: {
          name: "cluster",
          include: ["cluster-tests/scenarios/**/*.test.ts"],
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
