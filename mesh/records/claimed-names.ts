// Claimed names: all that an app's record has of the names that one app alone may use at a time.

import type { AppRecord } from "./app.ts";
import { type ClaimedName, hostnameClaim } from "./names.ts";
import { claimedHostnames } from "./preview.ts";

function volumeNames({ releases, home }: AppRecord): readonly string[] {
  const kept = home?.isRemoved === true ? [] : (home?.made ?? []);
  const used = releases.flatMap(({ spec }) => (spec.volumes ?? []).map(({ name }) => name));
  return [...new Set([...kept, ...used])];
}

/** Hostnames, and volumes, those of data that outlives the app too. */
export function claimedNames(record: AppRecord): readonly ClaimedName[] {
  const volumes = volumeNames(record).map((name) => `volume/${record.app}.${name}`);
  return [...claimedHostnames(record).map(hostnameClaim), ...volumes];
}
