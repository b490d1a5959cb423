// The table of strategies: a name that the app file may use, and its recipe. A new name breaks the build until it has one.

import type { DeploySpec } from "../../../../mesh/index.ts";
import { bluegreen, immediate } from "./all-at-once.ts";
import { canary } from "./canary.ts";
import { handoff } from "./handoff.ts";
import { rolling } from "./rolling.ts";
import type { Strategy } from "./strategy.ts";

type StrategyName = DeploySpec["strategy"];

export const STRATEGIES: Readonly<Record<StrategyName, Strategy>> = {
  rolling,
  immediate,
  bluegreen,
  canary,
  handoff,
} satisfies Record<StrategyName, Strategy>;
