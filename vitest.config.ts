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
