// Watch lines: what a watcher reads, one JSON object a line: the position, and what is there or has changed.

import type { Entry } from "../../mesh/index.ts";
import type { OwnerNames } from "../introspection/names.ts";
import { isOwnKind, readableValue, replaceUnprintable } from "../introspection/readable-value.ts";
import { shortValue } from "../introspection/short-value.ts";
import { WATCH_BASE64_BYTES_MAX } from "../limits.ts";

/** What follows the position; exactly one of these. */
export type WatchEvent =
  | { readonly watch: { readonly agent: string; readonly prefix: string; readonly resumed: boolean } }
  | { readonly entry: unknown }
  | { readonly snapshotEnd: { readonly entries: number } }
  | { readonly change: unknown }
  | { readonly heartbeat: true }
  | { readonly restart: { readonly reason: string } };

/** `position` null: there is none to go on from. */
export function watchLine(position: string | null, event: WatchEvent): string {
  return `${JSON.stringify({ position, ...event }, replaceUnprintable)}\n`;
}

/** Of a kind that is known its value, and in a few words; else its first bytes; `cut`: there are more. */
export function viewChange({ owner, key, version, value }: Entry, names: OwnerNames): unknown {
  const facts = { owner, name: names.name(owner), key, version, deleted: value === null };
  return value === null ? facts : { ...facts, bytes: value.length, ...viewValue(key, value) };
}

function viewValue(key: string, value: Uint8Array): object {
  const readable = isOwnKind(key) ? readableValue(key, value) : undefined;
  if (readable !== undefined) return { short: shortValue(key, value), value: readable };
  const base64 = Buffer.from(value.subarray(0, WATCH_BASE64_BYTES_MAX)).toString("base64");
  return { base64, cut: value.length > WATCH_BASE64_BYTES_MAX };
}
