// Prober: runs a VM's checks on their intervals and feeds the check machine. Until a check has passed it is asked fast.

import { setTimeout as delay } from "node:timers/promises";
import type { Check } from "../../mesh/index.ts";
import { CheckMachine, type CheckMachineOptions, type HealthChanged } from "./check-machine.ts";
import { type ProbeAddress, probe } from "./probe.ts";

/**
 * How often a check that has not passed yet is asked within its grace period. A refused connection on loopback costs
 * ~0.2 ms; an app that starts in 40 ms should serve at 50 ms, not at the end of its interval.
 */
const UNPROVEN_INTERVAL_MS = 20;
/** And in its first second: requests may be held until it is healthy. */
const FRESH_INTERVAL_MS = 10;
const FRESH_MS = 1_000;
/** However short an interval is written, probes are no load. */
const INTERVAL_MS_MIN = 20;

/** Of an app without checks: its port accepts connections. */
const IMPLICIT_CHECK: Check = {
  type: "tcp",
  path: "/",
  intervalMs: 1_000,
  timeoutMs: 1_000,
  gracePeriodMs: 10_000,
};

export interface ProberOptions {
  readonly checks: readonly Check[];
  readonly address: ProbeAddress;
  readonly vmStartedAtMs: number;
  readonly before: CheckMachineOptions["before"];
}

export interface ProberDeps {
  readonly nowMs: () => number;
  readonly onChange: (change: HealthChanged) => void;
}

/** Probes until `signal` aborts, then resolves; the first probes go out at once. Never rejects. */
export async function runChecks(
  options: ProberOptions,
  deps: ProberDeps,
  signal: AbortSignal,
): Promise<void> {
  const checks = options.checks.length > 0 ? options.checks : [IMPLICIT_CHECK];
  const machine = new CheckMachine({ ...options, checks });
  await Promise.all(
    checks.map(async (check, index) => {
      while (!signal.aborted) {
        const startedAtMs = deps.nowMs();
        const outcome = await probe(check, options.address, signal);
        // An aborted probe failed for no fault of the VM.
        if (signal.aborted) return;
        for (const change of machine.step({ index, startedAtMs, outcome })) deps.onChange(change);
        const isFast = !machine.isProven(index) && machine.isInGrace(index, deps.nowMs());
        const isFresh = deps.nowMs() - options.vmStartedAtMs < FRESH_MS;
        const fastMs = isFresh ? FRESH_INTERVAL_MS : UNPROVEN_INTERVAL_MS;
        await pause(isFast ? fastMs : Math.max(INTERVAL_MS_MIN, check.intervalMs), signal);
      }
    }),
  );
}

async function pause(intervalMs: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(intervalMs, undefined, { signal });
  } catch {
    // Aborted: the caller's loop ends.
  }
}
