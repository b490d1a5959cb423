// Register: compare-and-swap on one app's desired record. One voter keeps it for now; the replicated register fills this interface.

import type { AppName, MemberName } from "../core/ids.ts";
import type { Version } from "../core/version.ts";
import type { AppRecord, CommittedApp } from "../records/app.ts";

/**
 * - `committed`: durable at a majority; it is gossiped from here.
 * - `conflict`: another swap was first; `current` is what stands. Nothing was changed.
 * - `unknown`: it timed out on the way. Read before the next swap: it may stand.
 * - `unavailable`: no majority of voters can be reached; they are named. Nothing was changed.
 */
export type SwapResult =
  | { readonly code: "committed"; readonly committed: CommittedApp }
  | { readonly code: "conflict"; readonly current: CommittedApp | null }
  | { readonly code: "unknown" }
  | { readonly code: "unavailable"; readonly missing: readonly MemberName[] };

export interface Register {
  /** The committed record as a majority has it, deleted apps included; null: the app never was. Rejects when no majority answers. */
  read(app: AppName): Promise<CommittedApp | null>;
  /** Every app ever committed, by name. */
  list(): Promise<readonly CommittedApp[]>;
  /** Commits `record` if the app's epoch is `expectedEpoch` (0: the app never was). The new epoch is one higher. */
  swap(app: AppName, expectedEpoch: number, record: AppRecord): Promise<SwapResult>;
}

/**
 * Service by which any member reads all committed records at a voter: answer one `encodeRecord({ format: 1, apps })`, each an
 * `encodeCommittedApp`. Request empty, or `encodeRecord` of a `RegisterReadRequest`.
 */
export const REGISTER_READ_SERVICE = "register-read";

/** Fails, and names the entry, unless the voter holds this entry of the reader at that version or a newer one. */
export interface RegisterReadRequest {
  readonly format: 1;
  readonly holds: { readonly key: string; readonly version: Version };
}
