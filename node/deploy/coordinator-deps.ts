// Coordinator deps: what the coordinator calls, and what it must know.

import type { Logger } from "pino";
import type { MemberName, Mesh, Register } from "../../mesh/index.ts";
import type { RolloutHistory } from "./rollout-history.ts";

/** The voters, any of which may drive an app. */
interface DrivingVoters {
  /** Those that live and vote, by rank. */
  voting(): readonly { readonly name: MemberName }[];
  /** Called when the list of all of them changed. Returns the way to unsubscribe. */
  onAdopted(listener: () => void): () => void;
}

export interface CoordinatorDeps {
  readonly mesh: Mesh;
  readonly register: Register;
  readonly voters: DrivingVoters;
  readonly logger: Pick<Logger, "info" | "warn" | "error">;
  /** Monotonic. */
  readonly nowMs: () => number;
  /** Since 1970: for people. */
  readonly wallMs: () => number;
  /** A host that is held dead for so long has its VMs replaced. */
  readonly repairAfterMs: number;
  readonly history: RolloutHistory;
}
