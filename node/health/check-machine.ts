// Check machine: from the outcomes of probes to a VM's health. Pure.
//
// Healthy when every check has passed; unhealthy when one failed CHECK_FAILURES_MAX times in a row after its grace
// period. A single failure says nothing: the last verdict stands until it is overturned.

import { CHECK_FAILURES_MAX, type Check, type VmHealth } from "../../mesh/index.ts";

export type ProbeOutcome = { readonly passed: true } | { readonly passed: false; readonly reason: string };

/** The probe of the check at `index` ended so. `startedAtMs` is when the probe was sent. */
export interface ProbeReport {
  readonly index: number;
  readonly startedAtMs: number;
  readonly outcome: ProbeOutcome;
}

export interface HealthVerdict {
  readonly health: VmHealth;
  /** Why it is unhealthy: the check and what it met; null otherwise. */
  readonly reason: string | null;
}

export interface HealthChanged extends HealthVerdict {
  readonly type: "health-changed";
  readonly from: VmHealth;
}

/**
 * - `unproven`: has not passed yet; `failures` counts those after the grace period.
 * - `passing`: passed, and since then failed `failures` times in a row, fewer than the bound.
 * - `failing`: reached the bound; the next pass ends it.
 */
type CheckState =
  | { readonly state: "unproven"; readonly failures: number }
  | { readonly state: "passing"; readonly failures: number }
  | { readonly state: "failing"; readonly reason: string };

export interface CheckMachineOptions {
  readonly checks: readonly Check[];
  /** When the VM was started: its grace periods begin here. */
  readonly vmStartedAtMs: number;
  /** What was known before: "unknown" of a new VM, else what an earlier agent had found, which stands until overturned. */
  readonly before: HealthVerdict;
}

export class CheckMachine {
  readonly #checks: readonly Check[];
  readonly #vmStartedAtMs: number;
  readonly #states: CheckState[];
  #verdict: HealthVerdict;

  constructor(options: CheckMachineOptions) {
    this.#checks = options.checks;
    this.#vmStartedAtMs = options.vmStartedAtMs;
    this.#states = options.checks.map(() => stateBefore(options.before));
    this.#verdict = options.before;
  }

  get verdict(): HealthVerdict {
    return this.#verdict;
  }

  /** Has the check passed, now or before? Until then it is probed at a faster pace. */
  isProven(index: number): boolean {
    return this.#states[index]?.state !== "unproven";
  }

  isInGrace(index: number, nowMs: number): boolean {
    return nowMs - this.#vmStartedAtMs < (this.#checks[index]?.gracePeriodMs ?? 0);
  }

  step(report: ProbeReport): readonly HealthChanged[] {
    const { index, outcome } = report;
    const check = this.#checks[index];
    const state = this.#states[index];
    if (check === undefined || state === undefined) return [];
    if (outcome.passed) this.#states[index] = { state: "passing", failures: 0 };
    else if (!this.isInGrace(index, report.startedAtMs)) {
      this.#states[index] = afterFailure(state, `${describeCheck(check)}: ${outcome.reason}`);
    }
    return this.#judge();
  }

  describe(): string {
    return `${this.#verdict.health} [${this.#states.map((one) => one.state).join(" ")}]`;
  }

  #judge(): readonly HealthChanged[] {
    const from = this.#verdict.health;
    const failing = this.#states.find((one) => one.state === "failing");
    const isHealthy = this.#states.every((one) => one.state === "passing");
    if (failing !== undefined) this.#verdict = { health: "unhealthy", reason: failing.reason };
    else if (isHealthy) this.#verdict = { health: "healthy", reason: null };
    else return [];
    return from === this.#verdict.health ? [] : [{ type: "health-changed", from, ...this.#verdict }];
  }
}

function stateBefore(before: HealthVerdict): CheckState {
  if (before.health === "healthy") return { state: "passing", failures: 0 };
  if (before.health === "unhealthy") return { state: "failing", reason: before.reason ?? "unhealthy" };
  return { state: "unproven", failures: 0 };
}

function afterFailure(state: CheckState, reason: string): CheckState {
  if (state.state === "failing") return { state: "failing", reason };
  const failures = state.failures + 1;
  return failures >= CHECK_FAILURES_MAX ? { state: "failing", reason } : { state: state.state, failures };
}

/** "GET /healthz", "tcp". */
function describeCheck(check: Check): string {
  return check.type === "http" ? `GET ${check.path}` : "tcp";
}
