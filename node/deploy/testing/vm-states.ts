// VM states: what a host says of a VM that did what it was asked to.

import type { VmEntry } from "../../../mesh/index.ts";

export const PREPARED: Partial<VmEntry> = { state: "prepared" };
export const HEALTHY: Partial<VmEntry> = { state: "running", health: "healthy", reason: null };
export const ENDED_WELL: Partial<VmEntry> = { state: "exited", exit: { code: 0, signal: null } };
