// Four projects: `unit` is part of `npm run check`; `sim` runs many seeds of the simulators, and the register's model, on all cores; `cluster` starts real
// agents and proxies as processes, `container` in containers, where a Docker engine answers.
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { defineConfig } from "vitest/config";

// Members and commands that tests start keep their compiled code in one folder, also those that have a TMPDIR of their own: to compile it
// costs each of them 0.5 s of CPU.
process.env["NODE_COMPILE_CACHE"] ??= join(tmpdir(), "node-compile-cache");

const CONTAINER_TESTS = "cluster-tests/scenarios/containers/**/*.test.ts";
const SIM_TESTS = [
  "mesh/sim/chaos.test.ts",
  "mesh/sim/register-model/*.test.ts",
  "mesh/sim/registers/registers.test.ts",
  "cluster-tests/rollouts/rollouts.test.ts",
];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["{mesh,node,proxy-agent,cluster-tests,docker}/**/*.test.ts"],
          exclude: ["cluster-tests/scenarios/**", ...SIM_TESTS],
          // Files of one worker share what they import: to load it anew for each was two fifths of what all of them cost.
          isolate: false,
          // vitest leaves one core for itself: of two that is half of them. Many tests start processes and wait for what those say.
          maxWorkers: Math.ceil(1.5 * availableParallelism()),
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
          exclude: [CONTAINER_TESTS],
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: "container",
          include: [CONTAINER_TESTS],
          globalSetup: "cluster-tests/harness/containers/setup.ts",
          fileParallelism: false,
          testTimeout: 180_000,
          // Five containers are up in 5 s on two idle cores, and in a minute where others compute as well.
          hookTimeout: 180_000,
        },
      },
    ],
  },
});
