// Replica options: what one member's replica is made with, and what it is given of the world.

import type { HeadCrypto } from "./head.ts";
import type { OwnerId } from "./ids.ts";
import type { Protections } from "./protections.ts";
import type { Start } from "./version.ts";

export interface ReplicaOptions {
  readonly self: OwnerId;
  /** On disk already; higher than every one before. */
  readonly start: Start;
  /** Prefixes of keys of records that everybody waits for: who writes them is served first. */
  readonly controlPrefixes?: readonly string[];
  /** Tombstones older than this are collected. Default `TOMBSTONE_GRACE_MS`. */
  readonly tombstoneGraceMs?: number;
  /**
   * One delta, default and at most `DELTA_BYTES_MAX`: a frame must hold it. An entry that is larger by itself is never
   * told by a delta, so only who writes small ones may lower it.
   */
  readonly deltaBytesMax?: number;
  /** All, but in a simulation. */
  readonly protections?: Protections;
}

export interface ReplicaDeps extends HeadCrypto {
  /** In [0, 1). */
  readonly random: () => number;
}
