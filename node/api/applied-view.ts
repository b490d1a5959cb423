// Applied view: who has a write in force, and how long that is waited for, as the API takes and gives it.

import { type AppliedReport, describeDuration, type MemberName, parseDuration } from "../../mesh/index.ts";

const WAIT_DEFAULT_MS = 5_000;
/** A client that waits longer does better to ask again. */
const WAIT_MAX_MS: number = 10 * 60 * 1_000;

export interface AppliedView {
  /** In the order of their answers; `ms` from the write to the answer, on the writer's clock. */
  readonly acks: readonly { readonly name: MemberName; readonly role: string; readonly ms: number }[];
  readonly missing: readonly { readonly name: MemberName; readonly role: string; readonly why: string }[];
}

export function appliedView({ acks, missing }: AppliedReport): AppliedView {
  return {
    acks: acks.map(({ name, role, ms }) => ({ name, role, ms: roundUp(ms) })),
    missing: missing.map(({ name, role, why }) => ({ name, role, why })),
  };
}

/** How long a wait may take, milliseconds, or what is wrong with what was asked for. */
export function timeoutOf(timeout: string | undefined): number | string {
  const timeoutMs = timeout === undefined ? WAIT_DEFAULT_MS : parseDuration(timeout);
  if (timeoutMs !== undefined && timeoutMs >= 1 && timeoutMs <= WAIT_MAX_MS) return timeoutMs;
  return `timeout must be a duration from 1ms to ${describeDuration(WAIT_MAX_MS)} with its unit, for example 5s`;
}

/** To the microsecond: it is an upper bound. */
function roundUp(ms: number): number {
  return Math.ceil(ms * 1_000) / 1_000;
}
