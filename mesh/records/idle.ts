// Idle: whether an app may sleep, and whether it does, as its record says.

import type { AppRecord } from "./app.ts";
import { isUnderWay } from "./rollout-words.ts";

/** For so long nobody may have asked before it is put to sleep: the release says so that is the whole app. Null: it never sleeps. */
export function idleAfterMsOf({ current, releases }: Pick<AppRecord, "current" | "releases">): number | null {
  return releases.find(({ number }) => number === current)?.spec.idle?.afterMs ?? null;
}

/** No VM of it runs, or is to, until somebody asks for it. */
export function isAsleep({ hold, rollout }: Pick<AppRecord, "hold" | "rollout">): boolean {
  return hold?.by === "idle" && !isUnderWay(rollout);
}
