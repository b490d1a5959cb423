// Bundle limits: what a packed app folder may hold, checked when it is packed, when it is stored, and when it is unpacked.

/** As a tar file. An app's folder is source or a build, not a disk image: it travels to each host that runs it. */
export const BUNDLE_BYTES_MAX: number = 100 * 1024 * 1024;
/** Files, folders and links. A folder of dependencies has a few thousand; unpacking costs ~50 µs each. */
export const BUNDLE_ENTRIES_MAX: number = 20_000;

export interface BundleLimits {
  readonly bytesMax: number;
  readonly entriesMax: number;
}

export const BUNDLE_LIMITS: BundleLimits = { bytesMax: BUNDLE_BYTES_MAX, entriesMax: BUNDLE_ENTRIES_MAX };

/** "99.5 MiB", "12 KiB", for messages. */
export function describeBytes(bytes: number): string {
  if (bytes >= 1024 * 1024) return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
  return bytes >= 1024 ? `${Math.round(bytes / 1024)} KiB` : `${bytes} bytes`;
}
