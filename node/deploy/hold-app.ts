// Hold app: a person's word that an app's requests are kept by its proxies, or go on, put into its record.

import {
  type AppName,
  type AppRecord,
  type Hold,
  type HoldSpec,
  holdBoundsOf,
  messageOf,
} from "../../mesh/index.ts";
import { changeRecord, type RecordsDeps } from "./change-records.ts";
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

export async function holdApp(deps: RecordsDeps, { app, verb }: HoldRequest): Promise<HoldResult> {
  let refusal: Extract<HoldChange, { code: "invalid" }> | null = null;
  const changed = (record: AppRecord): AppRecord => {
    const change = verb === "hold" ? heldByPerson(record, deps.wallMs()) : releasedByPerson(record);
    refusal = change.code === "invalid" ? change : null;
    return change.code === "invalid" ? record : change.record;
  };
  try {
    const result = await changeRecord(deps, app, changed);
    if (result === null) return { code: "unknown" };
    const { epoch, record } = result.committed;
    const by = record.hold?.by ?? null;
    return refusal ?? { code: "done", epoch, changed: result.isChanged, by, bounds: holdBoundsOf(record) };
  } catch (error) {
    return { code: "unavailable", message: messageOf(error) };
  }
}
