// Journey: what one request went through so far, from its arrival to its answer.

import type { VmName } from "../../mesh/index.ts";
import type { AppRoute, Endpoint } from "../core/route-table.ts";
import type { Turn } from "../core/split.ts";
import { RETRY_PAUSE_FIRST_MS } from "../limits.ts";
import { monotonicUnixMs } from "./clock.ts";

export interface Journey {
  readonly arrivedAtMs: number;
  /** How long it waited for a hold: that counts against no other time. */
  heldMs: number;
  /** The app that it waited for so; null: for none. */
  heldFor: AppRoute | null;
  /** From when on its time for tries counts: its arrival, or later the end of its last wait for a gate. */
  startedAtMs: number;
  /** Since the last pause. */
  readonly tried: Set<VmName>;
  /** Of an app whose requests are split: which release it fell to. Its next tries are none of another request's share. */
  turn: Turn | null;
  tries: number;
  /** Times that it broke after it may have been sent. */
  broken: number;
  /** The same, with the connection to a gate. */
  brokenAtGate: number;
  /** Times that a gate refused it, and one of both went by a newer record then. */
  catchUps: number;
  /** The next try needs no pause: the last one broke, which says nothing of the endpoint. */
  isAtOnce: boolean;
  pauseMs: number;
  /** Gates that were away when they were dialled since the last pause. */
  readonly away: Set<Endpoint>;
  /** Why the last try failed, for people. */
  lastReason: string | null;
  lastStatus: 502 | 503 | 504;
}

export function newJourney(): Journey {
  const nowMs = monotonicUnixMs();
  return {
    arrivedAtMs: nowMs,
    heldMs: 0,
    heldFor: null,
    startedAtMs: nowMs,
    tried: new Set(),
    turn: null,
    tries: 0,
    broken: 0,
    brokenAtGate: 0,
    catchUps: 0,
    isAtOnce: false,
    pauseMs: RETRY_PAUSE_FIRST_MS,
    away: new Set(),
    lastReason: null,
    lastStatus: 502,
  };
}
