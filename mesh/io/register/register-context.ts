// Register context: what the parts of the registers have in common.

import type { Logger } from "pino";
import type { Mesh } from "../../mesh.ts";

export interface RegisterContext {
  readonly mesh: Mesh;
  /** The peer id of the cluster's root key. */
  readonly cluster: string;
  readonly logger: Logger;
  /** What happened, for the metrics. */
  readonly count: (counter: string) => void;
}
