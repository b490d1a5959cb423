// Register: compare-and-swap on one app's desired record, at a voter; and the names that apps claim for themselves.

import type { AppName, MemberName } from "../core/ids.ts";
import type { Version } from "../core/version.ts";
import type { AppRecord, CommittedApp } from "../records/app.ts";
import type { Claim, ClaimedName } from "../records/names.ts";

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

/**
 * - `claimed`: nobody else has any of the names. - `taken`: `name` belongs to `by`; nothing was claimed.
 * - `full`: the cluster has no room for more names. - `unavailable`: no majority, or its outcome is not known.
 */
export type ClaimResult =
  | { readonly code: "claimed" }
  | { readonly code: "taken"; readonly name: ClaimedName; readonly by: AppName }
  | { readonly code: "full" }
  | { readonly code: "unavailable"; readonly reason: string };

export interface Register {
  /** The committed record as a majority has it, deleted apps included; null: the app never was. Rejects when no majority answers. */
  read(app: AppName): Promise<CommittedApp | null>;
  /** Every app as far as this voter knows, by name: committed, but there may be newer. */
  known(): readonly CommittedApp[];
  /** Resolves when `known` holds all that was committed before the call. Rejects when no majority answers. */
  readAll(): Promise<void>;
  /** Told of each record that this voter came to know, by whomever it was committed. Returns the way to unsubscribe. */
  onCommitted(listener: (committed: CommittedApp) => void): () => void;
  /** Commits `record` if the app's epoch is `expectedEpoch` (0: the app never was). The new epoch is one higher. */
  swap(app: AppName, expectedEpoch: number, record: AppRecord): Promise<SwapResult>;
  /** Before a record uses names: `claim.epoch` is the one that it shall be committed as. */
  claimNames(claim: Claim, names: readonly ClaimedName[]): Promise<ClaimResult>;
  /** The app's record at `claim.epoch` uses `kept`, and no rollout of it runs. Rejects when no majority answers. */
  releaseNames(claim: Claim, kept: readonly ClaimedName[]): Promise<void>;
}

/**
 * Service by which any member reads all committed records at a voter, as a majority has them: answer one
 * `encodeRecord({ format: 1, apps })`, each an `encodeCommitted`. Request: `encodeRecord` of a `RegisterReadRequest`.
 */
export const REGISTER_READ_SERVICE = "register-read";

/** Fails, and names the entry, unless the voter holds this entry of the reader at that version or a newer one. */
export interface RegisterReadRequest {
  readonly format: 1;
  readonly holds: { readonly key: string; readonly version: Version } | null;
  /** False: only whether it holds that; no records. */
  readonly records: boolean;
}
