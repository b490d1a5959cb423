// Ack state: what this proxy answers for each app. A state, not an event: computed anew whenever something changed.
// Epochs only move forward: applied never exceeds the newest seen, verified never exceeds applied.

import type { Ack, AppName } from "../../mesh/index.ts";
import type { DrainReport } from "./drain.ts";
import { type AppRoute, describeAddress, type Endpoint, reachedEndpoints } from "./route-table.ts";

/** What the verifier knows of one endpoint. */
export type Reached =
  | { readonly kind: "yes" }
  | { readonly kind: "not-yet" }
  | { readonly kind: "no"; readonly reason: string };

interface Standing {
  /** The newest epoch seen, and when it was. */
  seen: number;
  seenAtMs: number;
  applied: number;
  applyMs: number;
  verified: number;
  nack: Ack["nack"];
}

export interface SettleInputs {
  readonly reached: (endpoint: Endpoint) => Reached;
  readonly nowMs: number;
}

export class AckState {
  readonly #apps = new Map<AppName, Standing>();

  /** A record of this epoch came in. Only the first sight of the newest one counts. */
  seen(app: AppName, epoch: number, nowMs: number): void {
    const held = this.#apps.get(app);
    if (held === undefined) this.#apps.set(app, newStanding(epoch, nowMs));
    else if (epoch > held.seen) Object.assign(held, { seen: epoch, seenAtMs: nowMs });
  }

  /** `route` is in force. True: what we answer for its app changed. */
  settle(route: AppRoute, inputs: SettleInputs): boolean {
    this.seen(route.app, route.epoch, inputs.nowMs);
    const standing = this.#apps.get(route.app);
    if (standing === undefined) return false;
    const before = { ...standing };
    if (route.missing.length === 0 && route.epoch > standing.applied) {
      standing.applied = route.epoch;
      standing.applyMs = Math.max(0, inputs.nowMs - standing.seenAtMs);
    }
    const doubt = whatIsMissing(route, inputs.reached);
    if (doubt === null && standing.applied === route.epoch) standing.verified = route.epoch;
    const isSettled = standing.verified === route.epoch;
    standing.nack = isSettled || !doubt ? null : { epoch: route.epoch, reason: doubt };
    return !isSame(before, standing);
  }

  ack(app: AppName, drains: DrainReport): Ack {
    const { applied, verified, nack, applyMs } = this.#apps.get(app) ?? newStanding(0, 0);
    return { app, applied, verified, nack, applyMs, ...drains };
  }
}

/** An answer that will change without a new record, so that it is repeated faster. */
export function isUnsettled(ack: Ack): boolean {
  return ack.nack !== null || ack.inFlight.length > 0 || ack.verified < ack.applied;
}

function newStanding(epoch: number, nowMs: number): Standing {
  return { seen: epoch, seenAtMs: nowMs, applied: 0, applyMs: 0, verified: 0, nack: null };
}

/** Null: nothing. "": what is missing is being tried and nothing is wrong so far. Else the first reason, for people. */
function whatIsMissing(route: AppRoute, reached: (endpoint: Endpoint) => Reached): string | null {
  const reason = route.missing[0] ?? route.lost[0];
  if (reason !== undefined) return reason;
  const awaited = new Set(route.awaited);
  const unaddressed = route.unaddressed.find((vm) => awaited.has(vm));
  if (unaddressed !== undefined) return `no address of ${unaddressed} is known yet`;
  const endpoints = reachedEndpoints(route).filter(({ vm }) => awaited.has(vm));
  const answers = endpoints.map((endpoint) => ({ endpoint, answer: reached(endpoint) }));
  for (const { endpoint, answer } of answers) {
    if (answer.kind === "no")
      return `cannot dial ${endpoint.vm} at ${describeAddress(endpoint)}: ${answer.reason}`;
  }
  return answers.every(({ answer }) => answer.kind === "yes") ? null : "";
}

function isSame(left: Standing, right: Standing): boolean {
  return (
    left.applied === right.applied &&
    left.verified === right.verified &&
    left.nack?.epoch === right.nack?.epoch &&
    left.nack?.reason === right.nack?.reason
  );
}
