// Drain view: a host that is drained, and what is left there, as `host drain` follows it. JSON through and through.

import type { MemberName } from "../../mesh/index.ts";
import type { HostUse } from "../host-cordon.ts";
import type { AppView } from "./app-view.ts";
import type { Stay } from "./core/drain.ts";

export interface DrainView {
  readonly host: MemberName;
  /** As the host says itself. */
  readonly use: HostUse;
  /** The agent that answers hears it. */
  readonly connected: boolean;
  /** No record places anything there, and the host lists no VM. */
  readonly empty: boolean;
  /** Apps of which something is there, by name. */
  readonly apps: readonly StayView[];
}

export interface StayView extends Omit<Stay, "dueAtMs"> {
  /** It goes on by itself after so long, milliseconds; null: nobody knows. */
  readonly inMs: number | null;
  /** Of one that moves: with its rollout, and for whom that waits. */
  readonly view: AppView | null;
}

/** What the API asks. Answered by a voter; other agents relay to it. */
export interface HostDrains {
  /** Reads all records at a majority, so that nothing is missing in a view; else why it cannot. */
  read(): Promise<string | null>;
  /** Null: there is no such host. */
  view(host: MemberName): DrainView | null;
  /** The view now, and again after each change of it, until `signal` aborts. */
  watch(host: MemberName, signal: AbortSignal): AsyncIterable<DrainView>;
}
