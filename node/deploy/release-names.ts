// Release names: what an app's record does not use any more is given back, once no rollout needs it.

import { type CommittedApp, claimedNames, isUnderWay } from "../../mesh/index.ts";
import type { CoordinatorDeps } from "./coordinator-deps.ts";

export async function releaseUnusedNames(
  { record, epoch }: CommittedApp,
  { register, logger }: Pick<CoordinatorDeps, "register" | "logger">,
): Promise<void> {
  if (isUnderWay(record.rollout)) return;
  const { app } = record;
  const names = claimedNames(record);
  try {
    await register.releaseNames({ app, epoch }, names);
  } catch (error) {
    logger.warn({ app, error: String(error) }, "names that are not needed any more stay the app's");
  }
}
