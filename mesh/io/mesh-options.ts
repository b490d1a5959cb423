// Mesh options: what the libp2p mesh is started with, and what its starter gets beyond a `Mesh`.

import type { Logger } from "pino";
import type { ConvergenceView } from "../core/convergence.ts";
import type { HeadCrypto } from "../core/head.ts";
import { isName, type MemberName } from "../core/ids.ts";
import type { ReplicaOptions } from "../core/replica-options.ts";
import { CLUSTER_ID_CHARS_MAX } from "../limits.ts";
import type { MemberRole, Mesh } from "../mesh.ts";

export interface MeshOptions {
  /** Members of one cluster meet; all others are refused. The peer id of the cluster's root key. */
  readonly cluster: string;
  readonly name: MemberName;
  readonly role: MemberRole;
  /** Holds our key, incarnation and snapshot. One member each; losing it makes another member of us. */
  readonly stateDir: string;
  /** Multiaddrs, `/ip4/0.0.0.0/tcp/7946`; port 0: any free one. */
  readonly listen: readonly string[];
  /** Multiaddrs at which others reach us; empty: what we listen on. */
  readonly advertise: readonly string[];
  /** Multiaddrs without a peer id of members to meet first. One that lives is enough; ourselves among them does no harm. */
  readonly seeds: readonly string[];
  /** Default: those of `limits.ts`; others let a test wait less, or cut more. */
  readonly bounds?: Pick<ReplicaOptions, "tombstoneGraceMs" | "deltaBytesMax">;
}

export interface MeshDeps {
  readonly logger: Logger;
  /** Of heads. Default: Ed25519 with our own key; another one only to measure what that costs. */
  readonly crypto?: HeadCrypto;
  /** Milliseconds since 1970, read once for the incarnation. Default: `Date.now`. */
  readonly nowMs?: () => number;
}

export interface RunningMesh extends Mesh {
  /** Multiaddrs without a peer id, with the real port. */
  readonly listenAddresses: readonly string[];
  /** Counters since the start, by name. */
  metrics(): Record<string, number>;
  /** How soon what we wrote of VMs and apps since the start was in force everywhere. */
  convergence(): ConvergenceView;
  /** One line for logs and dumps. */
  describe(): string;
}

/** It becomes part of protocol ids and of the topic: nothing that splits them. */
const CLUSTER_ID = new RegExp(`^[A-Za-z0-9-]{1,${CLUSTER_ID_CHARS_MAX}}$`);

export function assertMeshOptions({ cluster, name }: MeshOptions): void {
  if (!CLUSTER_ID.test(cluster)) throw new Error(`mesh: bad cluster id ${JSON.stringify(cluster)}`);
  if (!isName(name)) throw new Error(`mesh: bad member name ${JSON.stringify(name)}`);
}
