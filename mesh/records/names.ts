// names: who may use a hostname or a volume. One record for the whole cluster, in the register `names`: an app claims what it
// uses before its own record does, so that no two apps ever route one hostname.

import { type ZodType, z } from "zod";
import { type AppName, compareText } from "../core/ids.ts";
import { fail, ok, type Result } from "../result.ts";
import { decodeRecord, encodeRecord } from "./record-codec.ts";
import { appNameShape } from "./shapes.ts";

export const NAMES_REGISTER = "names";

/** Names of all apps together: the record must fit an entry, with the longest names. */
export const NAMES_MAX: number = 1_000;

/** `hostname/hello.example.com`, `volume/data`. */
export type ClaimedName = string;

export interface NamesRecord {
  readonly format: 1;
  readonly names: Readonly<Record<ClaimedName, AppName>>;
}

export const NO_NAMES: NamesRecord = { format: 1, names: {} };

const namesShape: ZodType<NamesRecord> = z.strictObject({
  format: z.literal(1),
  names: z
    .record(z.string().max(300), appNameShape)
    .refine((names) => Object.keys(names).length <= NAMES_MAX, "too many names"),
});

export function encodeNames(record: NamesRecord): Uint8Array {
  return encodeRecord(record);
}

export function decodeNames(bytes: Uint8Array): Result<NamesRecord> {
  return decodeRecord(namesShape, bytes);
}

export function hostnameClaim(hostname: string): ClaimedName {
  return `hostname/${hostname}`;
}

/** `code` `taken`: `name` belongs to `by`. `full`: there is no room for more names. Nothing is claimed then. */
export type ClaimFault =
  | { readonly code: "taken"; readonly name: ClaimedName; readonly by: AppName }
  | { readonly code: "full" };

/** `app` has `wanted` besides what it had: what it does not use any more it gives back when its rollout is over. */
export function claim(
  { names }: NamesRecord,
  app: AppName,
  wanted: readonly ClaimedName[],
): Result<NamesRecord, ClaimFault> {
  const taken = wanted.find((name) => names[name] !== undefined && names[name] !== app);
  if (taken !== undefined) return fail({ code: "taken", name: taken, by: names[taken] as AppName });
  const claimed = { ...names, ...Object.fromEntries(wanted.map((name) => [name, app])) };
  if (Object.keys(claimed).length > NAMES_MAX) return fail({ code: "full" });
  return ok({ format: 1, names: sorted(claimed) });
}

/** `app` has `kept` and nothing else. */
export function release({ names }: NamesRecord, app: AppName, kept: readonly ClaimedName[]): NamesRecord {
  const left = Object.entries(names).filter(([name, owner]) => owner !== app || kept.includes(name));
  return { format: 1, names: Object.fromEntries(left) };
}

function sorted(names: NamesRecord["names"]): NamesRecord["names"] {
  return Object.fromEntries(Object.entries(names).sort(([left], [right]) => compareText(left, right)));
}
