// Keys: the door of mesh for who reads files that people write: TOML against a schema, and the bounds of what such a file may ask for.

export {
  type HostPort,
  hostPortShape,
  type MemberConfig,
  type MemberConfigKeys,
  memberConfigShape,
  nameShape,
  parseHostPort,
  publicMemberConfig,
  toMemberConfig,
  toMultiaddr,
} from "./config.ts";
export { type KeyWords, keyWords, told } from "./io/key-words.ts";
export {
  type ConfigError,
  describeConfigErrors,
  durationShape,
  parseToml,
  readTomlFile,
} from "./io/toml-file.ts";
export { PIN_MAX_AGE_MS } from "./records/clients.ts";
export { VOLUME_NAME, VOLUMES_MAX } from "./records/home.ts";
export { PREVIEWED_HOSTNAME_CHARS_MAX } from "./records/preview.ts";
export { decodeRecord, encodeRecord } from "./records/record-codec.ts";
export * from "./records/release.ts";
