// Several scenarios, one worker thread for each core. Results come in the order that was asked for.

import { runPool } from "../worker-pool.ts";
import type { Exploration, ExploreOptions } from "./explore.ts";

export function runScenarios(
  jobs: readonly ExploreOptions[],
  onResult: (exploration: Exploration) => void = () => {},
): Promise<readonly Exploration[]> {
  return runPool<ExploreOptions, Exploration>(
    {
      worker: new URL("./scenario-worker.ts", import.meta.url),
      tasks: jobs,
      describe: ({ scenario, broken }) =>
        `scenario ${scenario.name}${broken === null ? "" : ` without ${broken}`}`,
    },
    onResult,
  );
}
