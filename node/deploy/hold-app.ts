// Hold app: a person's word that an app's requests are kept by its proxies, or go on, put into its record.

import {
  type AppName,
  type AppRecord,
  type Hold,
  type HoldSpec,
  holdBoundsOf,
  messageOf,
  NoMajorityError,
} from "../../mesh/index.ts";
import type { RecordsDeps } from "./change-records.ts";
import { type HoldChange, heldByPerson, releasedByPerson } from "./core/person-hold.ts";

export interface HoldRequest {
  readonly app: AppName;
  readonly verb: "hold" | "release";
}

/**
 * `done`: from `epoch` on the record says so, whether it was changed for that or not; `by`: who has requests held from then on, also after a
 * release, null: nobody. `unknown`: there is no such app.
 */
export type HoldResult =
  | {
      readonly code: "done";
      readonly epoch: number;
      readonly changed: boolean;
      readonly by: Hold["by"] | null;
      readonly bounds: HoldSpec;
    }
  | { readonly code: "unknown" }
  | { readonly code: "invalid"; readonly message: string }
  | { readonly code: "unavailable"; readonly message: string };

/** Swaps that may lose against the machine of the app's rollout before it is given up. */
const TRIES_MAX = 10;

export async function holdApp(deps: RecordsDeps, { app, verb }: HoldRequest): Promise<HoldResult> {
  const change = (record: AppRecord): HoldChange =>
    verb === "hold" ? heldByPerson(record, deps.wallMs()) : releasedByPerson(record);
  try {
    for (let tries = 0; tries < TRIES_MAX; tries += 1) {
      const result = await tryOnce(deps, app, change);
      if (result !== null) return result;
    }
  } catch (error) {
    return { code: "unavailable", message: messageOf(error) };
  }
  return { code: "unavailable", message: `the record of ${app} could not be changed: try again` };
}

/** Null: somebody else changed the record first. */
async function tryOnce(
  { register, learn }: RecordsDeps,
  app: AppName,
  change: (record: AppRecord) => HoldChange,
): Promise<HoldResult | null> {
  const committed = await register.read(app);
  if (committed === null || committed.record.deleted) return { code: "unknown" };
  const wanted = change(committed.record);
  if (wanted.code === "invalid") return wanted;
  const facts = { by: wanted.record.hold?.by ?? null, bounds: holdBoundsOf(committed.record) };
  if (wanted.record === committed.record)
    return { code: "done", epoch: committed.epoch, changed: false, ...facts };
  const result = await register.swap(app, committed.epoch, wanted.record);
  if (result.code === "unavailable") throw new NoMajorityError(result.missing);
  if (result.code !== "committed") return null;
  learn(result.committed);
  return { code: "done", epoch: result.committed.epoch, changed: true, ...facts };
}
