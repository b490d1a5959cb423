// Ports: what the API asks of the agent around it, and no more.

import type { Logger } from "pino";
import type { BundleHash, HostEntry, MemberName, Mesh, Result, VmName } from "../../mesh/index.ts";
import type { Deploys } from "../deploy/deploys.ts";

/** `too-large` and `mismatch` blame the sender, `no-space` this host; nothing was stored. */
export type BundlePut =
  | { readonly code: "stored" }
  | { readonly code: "too-large" | "mismatch" | "no-space"; readonly message: string };

export interface ApiBundles {
  has(hash: BundleHash): Promise<boolean>;
  /** Stores what `chunks` yield if it is within the bound and hashes to `hash`. */
  put(hash: BundleHash, chunks: AsyncIterable<Uint8Array>): Promise<BundlePut>;
}

interface ApiVms {
  /** The file that the output of a VM of this host is appended to; null: no such VM here. */
  logFile(vm: VmName): string | null;
}

export interface ApiDeps {
  readonly mesh: Mesh;
  readonly self: HostEntry;
  /** Where requests about apps go when this agent does not drive them itself. */
  readonly voters: readonly MemberName[];
  /** null: this agent is no voter. */
  readonly deploys: Deploys | null;
  readonly bundles: ApiBundles;
  /** Gets a bundle from whichever member has it, so that `bundles.has` it. */
  readonly fetchBundle: (hash: BundleHash, signal: AbortSignal) => Promise<Result<null>>;
  readonly vms: ApiVms;
  /** Further lines for /metrics, in Prometheus' text format. */
  readonly metrics: () => string;
  readonly log: Pick<Logger, "info" | "error">;
}

/** Set only by our own relay; no HTTP client can. */
export interface ApiBindings {
  readonly isRelayed?: boolean;
}

export type ApiEnv = { Bindings: ApiBindings };
