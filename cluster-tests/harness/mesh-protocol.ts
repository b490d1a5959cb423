// Mesh protocol: the lines of JSON between a fault test and a mesh that runs as a process of its own.

import { hash } from "node:crypto";
import type { Version } from "../../mesh/index.ts";

/** What the process is started with, as JSON in argv. */
export interface MeshMemberOptions {
  readonly name: string;
  readonly stateDir: string;
  /** Multiaddrs. */
  readonly listen: string;
  readonly seeds: readonly string[];
  readonly advertise: readonly string[];
  /** Added to the clock that a start reads for its incarnation. */
  readonly clockOffsetMs: number;
  /** How often it looks whether its metrics changed; 0: never, only a dump has them. */
  readonly metricsIntervalMs: number;
  readonly bounds: { readonly tombstoneGraceMs?: number; readonly deltaBytesMax?: number };
}

export type MeshCommand =
  /** Null deletes. */
  | { readonly do: "write"; readonly entries: readonly (readonly [key: string, text: string | null])[] }
  /** Writes until it is killed, a few a turn of the event loop, to `vm/0` … `vm/<keys - 1>` in turn: see `burstText`. */
  | { readonly do: "burst"; readonly keys: number }
  | { readonly do: "announce" }
  | { readonly do: "dump" }
  | { readonly do: "stop" };

/** What the write of a burst with this serial, from 0 on, says. */
export function burstText(serial: number): string {
  return `burst ${serial}`;
}

/** How a value is told: the first 16 hex digits of its SHA-256. */
export function valueHash(value: Uint8Array | string): string {
  return hash("sha256", value).slice(0, 16);
}

/** A live entry, as a member's store shows it. */
export interface HeldEntry {
  readonly owner: string;
  readonly key: string;
  readonly hash: string;
  readonly version: Version;
}

export interface MeshDump {
  readonly entries: readonly HeldEntry[];
  readonly metrics: Readonly<Record<string, number>>;
  readonly describe: string;
}

export interface HeldChange extends Omit<HeldEntry, "hash"> {
  /** Null: deleted. */
  readonly hash: string | null;
  readonly path: string;
  /** Live `vm/*` entries of all owners in the store at that moment. */
  readonly routes: number;
}

export type MeshLine =
  | { readonly event: "ready"; readonly owner: string; readonly listen: string; readonly dump: MeshDump }
  | ({ readonly event: "change" } & HeldChange)
  /** Owners that are connected. */
  | { readonly event: "links"; readonly connected: readonly string[] }
  /** Its judgement of a member changed. `atNs`: `process.hrtime`, the clock that all processes of a machine share. */
  | { readonly event: "judged"; readonly owner: string; readonly state: string; readonly atNs: string }
  /** Once they changed. */
  | { readonly event: "metrics"; readonly metrics: MeshDump["metrics"] }
  /** From `warn` (40) on. */
  | { readonly event: "log"; readonly level: number; readonly msg: string }
  /** To the commands, in their order. `version`: of the last write of a `write`. */
  | { readonly event: "answer"; readonly version?: Version; readonly dump?: MeshDump };
