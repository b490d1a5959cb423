import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CHECK_FAILURES_MAX, type Check } from "../../mesh/index.ts";
import { CheckMachine, type HealthVerdict, type ProbeOutcome } from "./check-machine.ts";

const http: Check = { type: "http", path: "/healthz", intervalMs: 500, timeoutMs: 300, gracePeriodMs: 5_000 };
const unknown: HealthVerdict = { health: "unknown", reason: null };
const pass: ProbeOutcome = { passed: true };
const failure: ProbeOutcome = { passed: false, reason: "status 500" };

function machine(checks: readonly Check[] = [http], before: HealthVerdict = unknown): CheckMachine {
  return new CheckMachine({ checks, vmStartedAtMs: 0, before });
}

/** Health after each of the outcomes, one a second from `startMs` on. */
function healths(subject: CheckMachine, outcomes: readonly ProbeOutcome[], startMs: number): string[] {
  return outcomes.map((outcome, at) => {
    subject.step({ index: 0, startedAtMs: startMs + at * 1_000, outcome });
    return subject.verdict.health;
  });
}

describe("CheckMachine", () => {
  it("is healthy at the first pass, also within grace", () => {
    const subject = machine();
    expect(subject.step({ index: 0, startedAtMs: 3, outcome: pass })).toEqual([
      { type: "health-changed", from: "unknown", health: "healthy", reason: null },
    ]);
  });

  it("does not count failures within grace", () => {
    const subject = machine();
    expect(healths(subject, [failure, failure, failure, failure, failure], 0).at(-1)).toBe("unknown");
    expect(healths(subject, [failure, failure], 5_000)).toEqual(["unknown", "unknown"]);
    expect(subject.step({ index: 0, startedAtMs: 7_000, outcome: failure })).toEqual([
      {
        type: "health-changed",
        from: "unknown",
        health: "unhealthy",
        reason: "GET /healthz: status 500",
      },
    ]);
  });

  it("counts a probe by when it was sent, not by when it timed out", () => {
    expect(healths(machine(), [failure, failure, failure], 4_999)).toEqual(["unknown", "unknown", "unknown"]);
    expect(healths(machine(), [failure, failure, failure], 5_000)).toEqual([
      "unknown",
      "unknown",
      "unhealthy",
    ]);
  });

  it("stays healthy when a pass comes before the bound is reached: flapping is no verdict", () => {
    const outcomes = Array.from({ length: 30 }, (_, at) => (at % CHECK_FAILURES_MAX === 0 ? pass : failure));
    expect(new Set(healths(machine(), outcomes, 6_000))).toEqual(new Set(["healthy"]));
  });

  it("is healthy again at the next pass", () => {
    expect(healths(machine(), [pass, failure, failure, failure, failure, pass], 6_000)).toEqual([
      "healthy",
      "healthy",
      "healthy",
      "unhealthy",
      "unhealthy",
      "healthy",
    ]);
  });

  it("needs every check to pass, and one that fails to be unhealthy", () => {
    const subject = machine([http, { ...http, type: "tcp" }]);
    subject.step({ index: 0, startedAtMs: 1, outcome: pass });
    expect(subject.verdict.health).toBe("unknown");
    subject.step({ index: 1, startedAtMs: 1, outcome: pass });
    expect(subject.verdict.health).toBe("healthy");
    for (let at = 0; at < CHECK_FAILURES_MAX; at++) {
      subject.step({ index: 1, startedAtMs: 9_000, outcome: { passed: false, reason: "refused" } });
    }
    expect(subject.verdict).toEqual({ health: "unhealthy", reason: "tcp: refused" });
    subject.step({ index: 0, startedAtMs: 9_000, outcome: pass });
    expect(subject.verdict.health).toBe("unhealthy");
  });

  it("goes on from what an earlier agent had found", () => {
    const healthy = machine([http], { health: "healthy", reason: null });
    expect(healths(healthy, [failure, failure, pass], 9_000)).toEqual(["healthy", "healthy", "healthy"]);
    const unhealthy = machine([http], { health: "unhealthy", reason: "before" });
    expect(unhealthy.verdict.reason).toBe("before");
    expect(healths(unhealthy, [failure, pass], 9_000)).toEqual(["unhealthy", "healthy"]);
  });

  it("ignores the report of a check that it does not have", () => {
    expect(machine().step({ index: 7, startedAtMs: 0, outcome: pass })).toEqual([]);
  });

  it("agrees with the obvious reading of the rules over any outcomes", () => {
    const outcomes = fc.array(fc.record({ passed: fc.boolean(), atMs: fc.nat(10_000) }), { maxLength: 40 });
    fc.assert(
      fc.property(outcomes, (raw) => {
        const probes = raw.sort((a, b) => a.atMs - b.atMs);
        const subject = machine();
        for (const { passed, atMs } of probes) {
          subject.step({ index: 0, startedAtMs: atMs, outcome: passed ? pass : failure });
        }
        expect(subject.verdict.health).toBe(slowHealth(probes));
      }),
    );
  });
});

/** Looks back from the end for each rule, instead of keeping count. */
function slowHealth(probes: readonly { passed: boolean; atMs: number }[]): string {
  const lastPass = probes.findLastIndex((probe) => probe.passed);
  const failuresSince = probes.slice(lastPass + 1).filter((probe) => probe.atMs >= http.gracePeriodMs).length;
  if (failuresSince >= CHECK_FAILURES_MAX) return "unhealthy";
  return lastPass >= 0 ? "healthy" : "unknown";
}
