// Words: the door of mesh for who says or reads what mesh means, and does nothing with it: a command that asks an agent is there
// before mesh itself would be loaded. What stands here loads no package.

export { describeDuration, parseDuration } from "./core/duration.ts";
export * from "./core/ids.ts";
export { nearestWord } from "./core/nearest-word.ts";
export { compareStarts, compareVersions, describeVersion, type Start, type Version } from "./core/version.ts";
export {
  CALL_CHUNK_BYTES_MAX,
  CONNECTIONS_MAX,
  ENTRY_VALUE_BYTES_MAX,
  TOMBSTONE_GRACE_MS,
} from "./limits.ts";
export * from "./records/rollout-words.ts";
export * from "./records/weights.ts";
export { fail, messageOf, ok, type Result } from "./result.ts";
