// Spec hash: two app files that mean the same have the same hash, in whatever order their keys stand.

import { createHash } from "node:crypto";
import type { AppSpec } from "../../mesh/index.ts";

/** SHA-256 over the spec as JSON with sorted keys, 64 hex digits. */
export function specHash(spec: AppSpec): string {
  return createHash("sha256").update(canonicalJson(spec)).digest("hex");
}

/** Whether all but the env is the same: only who holds both envs can say the rest, since their hashes are salted. */
export function isSameButEnv({ env: _left, ...left }: AppSpec, { env: _right, ...right }: AppSpec): boolean {
  return canonicalJson(left) === canonicalJson(right);
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) => {
    if (typeof item !== "object" || item === null || Array.isArray(item)) return item;
    return Object.fromEntries(Object.entries(item).sort(([left], [right]) => (left < right ? -1 : 1)));
  });
}
