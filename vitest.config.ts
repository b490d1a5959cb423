// Two projects: `unit` is part of `npm run check`; `cluster` starts real agents and proxies.
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["{mesh,node,proxy-agent,cluster-tests}/**/*.test.ts"],
          exclude: ["cluster-tests/scenarios/**"],
          // Says that a test hangs, not that it is slow: many start processes, and a busy machine takes its time over those.
          testTimeout: 60_000,
          hookTimeout: 60_000,
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
