// names: who may use a hostname or a volume. One record for the whole cluster, in the register `names`: an app claims what it
// uses before its own record does, so that no two apps ever route one hostname.

import { type ZodType, z } from "zod";
import { type AppName, compareText } from "../core/ids.ts";
import { ENTRY_VALUE_BYTES_MAX } from "../limits.ts";
import { fail, ok, type Result } from "../result.ts";
import { decodeRecord, encodeRecord } from "./record-codec.ts";
import { appNameShape, countShape } from "./shapes.ts";

export const NAMES_REGISTER = "names";

/** A record with all names must fit a register's value: about a thousand names as they are usual. */
const NAMES_BYTES_MAX = ENTRY_VALUE_BYTES_MAX - 256;
const NAME_CHARS_MAX = 253 + "hostname/".length;

/** `hostname/hello.example.com`, `volume/data`. */
export type ClaimedName = string;

export interface Claim {
  readonly app: AppName;
  /** The app's record of this epoch is the first that may use it; one of that epoch or later that does not use it gives it back. */
  readonly epoch: number;
}

export interface NamesRecord {
  readonly format: 1;
  readonly names: Readonly<Record<ClaimedName, Claim>>;
}

export const NO_NAMES: NamesRecord = { format: 1, names: {} };

const namesShape: ZodType<NamesRecord> = z.strictObject({
  format: z.literal(1),
  names: z.record(z.string().max(NAME_CHARS_MAX), z.strictObject({ app: appNameShape, epoch: countShape })),
});

export function encodeNames(record: NamesRecord): Uint8Array {
  return encodeRecord(record);
}

export function decodeNames(bytes: Uint8Array): Result<NamesRecord> {
  return decodeRecord(namesShape, bytes);
}

export function hostnameClaim(hostname: string): ClaimedName {
  return `hostname/${hostname.toLowerCase()}`;
}

/** For people: "hostname hello.example.com". */
export function describeClaimedName(name: ClaimedName): string {
  return name.replace("/", " ");
}

/** `code` `taken`: `name` belongs to `by`. `full`: there is no room for more names. Nothing is claimed then. */
export type ClaimFault =
  | { readonly code: "taken"; readonly name: ClaimedName; readonly by: AppName }
  | { readonly code: "full" };

/** `app` has `wanted`, for its record of `epoch`, besides what it had. */
export function claim(
  { names }: NamesRecord,
  { app, epoch }: Claim,
  wanted: readonly ClaimedName[],
): Result<NamesRecord, ClaimFault> {
  for (const name of wanted) {
    const by = names[name]?.app;
    if (by !== undefined && by !== app) return fail({ code: "taken", name, by });
  }
  // Never lower: who claimed it for a later record may be about to commit that.
  const raised = (name: ClaimedName): Claim => ({ app, epoch: Math.max(names[name]?.epoch ?? 0, epoch) });
  const claimed = { ...names, ...Object.fromEntries(wanted.map((name) => [name, raised(name)])) };
  const record = sorted(claimed);
  return encodeNames(record).length > NAMES_BYTES_MAX ? fail({ code: "full" }) : ok(record);
}

/** The record of `app` at `epoch` uses `kept`: what else it had for that or an earlier one is free. The same object: nothing is. */
export function release(
  record: NamesRecord,
  { app, epoch }: Claim,
  kept: readonly ClaimedName[],
): NamesRecord {
  const isKept = ([name, held]: [ClaimedName, Claim]): boolean =>
    held.app !== app || held.epoch > epoch || kept.includes(name);
  const all = Object.entries(record.names);
  const left = all.filter(isKept);
  return left.length === all.length ? record : sorted(Object.fromEntries(left));
}

function sorted(names: NamesRecord["names"]): NamesRecord {
  const order = Object.entries(names).sort(([left], [right]) => compareText(left, right));
  return { format: 1, names: Object.fromEntries(order) };
}
