// Ports: what the API asks of the agent around it, and no more.

import type { Logger } from "pino";
import type {
  BundleHash,
  HostEntry,
  HostRegisters,
  Mesh,
  Registers,
  Result,
  VmName,
} from "../../mesh/index.ts";
import type { EntryWrite, WaitOptions } from "../custom-entries.ts";
import type { Deploys } from "../deploy/deploys.ts";
import type { HostUse } from "../host-cordon.ts";
import type { QueryEngine } from "../query/query-engine.ts";
import type { ContentStore } from "../releases/content-store.ts";
import type { Envs } from "../releases/envs.ts";

/** Asking for a bundle keeps it: the deploy that names it comes later. */
export type ApiBundles = Pick<ContentStore, "touch" | "put">;

export type ApiEnvs = Pick<Envs, "seal" | "isSame">;

/** Entries of this host that people write. */
interface ApiEntries {
  put(key: string, value: Uint8Array, wait: WaitOptions | null): Promise<EntryWrite>;
  delete(key: string, wait: WaitOptions | null): Promise<EntryWrite>;
}

interface ApiVms {
  /** The file that the output of a VM of this host is appended to; null: no such VM here. */
  logFile(vm: VmName): string | null;
}

export interface ApiDeps {
  readonly mesh: Mesh;
  readonly self: HostEntry;
  /** The voters, as far as they are known here, and the records that a majority of them certified. */
  readonly registers: Pick<Registers, "directory" | "apps" | "takeBackup" | "voterNames">;
  /** This host's part in the voters. */
  readonly voting: Pick<
    HostRegisters,
    "changeVoters" | "collect" | "install" | "planFirst" | "planRestored" | "register" | "restore" | "seatsOf"
  >;
  /** null: this agent is no voter now. */
  readonly deploys: () => Deploys | null;
  readonly bundles: ApiBundles;
  readonly envs: ApiEnvs;
  /** Ok once this host holds the bundle, from whichever member had it, and keeps it for a while. */
  readonly fetchBundle: (hash: BundleHash, signal: AbortSignal) => Promise<Result<null>>;
  readonly vms: ApiVms;
  /** Whether anything new is placed on this host, and whether it is drained; resolves once that is on disk and told. */
  readonly setUse: (use: HostUse) => Promise<void>;
  readonly entries: ApiEntries;
  /** Further lines for /metrics, in Prometheus' text format. */
  readonly metrics: () => string;
  /** This agent's configuration, without secrets. */
  readonly config: object;
  readonly queries: Pick<QueryEngine, "query">;
  /** The last lines of its log. */
  readonly recentLog: () => string;
  readonly log: Pick<Logger, "info" | "error">;
}

/** Set only by our own relay; no HTTP client can. */
export interface ApiBindings {
  readonly isRelayed?: boolean;
}

export type ApiEnv = { Bindings: ApiBindings };
