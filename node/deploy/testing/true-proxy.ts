// True proxy: a proxy of a world as it really is, whatever the driver knows of it.

import type { Ack, CommittedApp, VmName } from "../../../mesh/index.ts";

/** `told` are the answers on their way to the driver, oldest first. */
export interface TrueProxy {
  registered: boolean;
  connected: boolean;
  /** The driver has its state. */
  known: boolean;
  table: CommittedApp | null;
  readonly inFlight: Map<VmName, number>;
  told: Ack[];
}

/** One that has just joined. */
export function trueProxy(table: CommittedApp | null): TrueProxy {
  return { registered: true, connected: true, known: true, table, inFlight: new Map(), told: [] };
}
