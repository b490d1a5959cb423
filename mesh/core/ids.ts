// Names and ids: branded, so that one cannot be passed for another.

declare const brand: unique symbol;
type Brand<Base, Name extends string> = Base & { readonly [brand]: Name };

/** The libp2p peer id of the member that alone writes a host state. Never an address, never reused. */
export type OwnerId = Brand<string, "OwnerId">;
/** The configured name of a member (`host-1`, `proxy-2`): what people read. Unique in a cluster. */
export type MemberName = Brand<string, "MemberName">;
/** An app: a name that routes. */
export type AppName = Brand<string, "AppName">;
/** One running instance of a release, for all time: `hello-v3-1` is never used twice. */
export type VmName = Brand<string, "VmName">;
/** SHA-256 of a packed app folder, 64 lower-case hex digits: what a release runs. */
export type BundleHash = Brand<string, "BundleHash">;
/** SHA-256 of a random salt and the env of a release, 64 lower-case hex digits. */
export type EnvHash = Brand<string, "EnvHash">;

/** Lower-case letters, digits and inner hyphens, as in a DNS label (RFC 1123 section 2.1), at most 48 long. */
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?$/;
const HASH = /^[0-9a-f]{64}$/;

/** True for what may name an app, a member or a VM. */
export function isName(text: string): boolean {
  return NAME.test(text);
}

export function isBundleHash(text: string): text is BundleHash {
  return HASH.test(text);
}

export function isEnvHash(text: string): text is EnvHash {
  return HASH.test(text);
}

/** The callers of these have validated the text, or read it from what a validated writer wrote. */
export function ownerId(text: string): OwnerId {
  return text as OwnerId;
}
export function memberName(text: string): MemberName {
  return text as MemberName;
}
export function appName(text: string): AppName {
  return text as AppName;
}
export function vmName(text: string): VmName {
  return text as VmName;
}
export function bundleHash(text: string): BundleHash {
  return text as BundleHash;
}
export function envHash(text: string): EnvHash {
  return text as EnvHash;
}

/** For `sort`: by code units, which is the same order everywhere. */
export function compareText(left: string, right: string): number {
  return left < right ? -1 : Number(left > right);
}
