import fc from "fast-check";
import { expect, test } from "vitest";
import { reportOf, textOf } from "./report.ts";
import { tally } from "./tally.ts";

const STEPS = [
  { kind: "start", waitedMs: 120 },
  { kind: "serve", waitedMs: 30 },
  { kind: "cordon", waitedMs: 20 },
  { kind: "stop", waitedMs: 40 },
];

test("what the VMs took is taken out of their own steps, and the rest is the deploy's", () => {
  const told = tally({ totalMs: 270, submitMs: 20, steps: STEPS, startMs: 85, stopMs: 5 });
  expect(told).toEqual({
    totalMs: 270,
    overheadMs: 180,
    parts: [
      { name: "submit", allMs: 20, ownMs: 0 },
      { name: "start", allMs: 120, ownMs: 85 },
      { name: "serve", allMs: 30, ownMs: 0 },
      { name: "cordon", allMs: 20, ownMs: 0 },
      { name: "stop", allMs: 40, ownMs: 5 },
      { name: "4 more commits", allMs: 40, ownMs: 0 },
    ],
  });
});

test("the parts add up to the whole, and no VM takes more than its step", () => {
  const ms = fc.integer({ min: 0, max: 10_000 });
  const steps = fc.array(fc.record({ kind: fc.constantFrom("start", "serve", "stop"), waitedMs: ms }));
  const times = fc.record({ totalMs: ms, submitMs: ms, startMs: ms, stopMs: ms, steps });
  fc.assert(
    fc.property(times, (given) => {
      const { parts, totalMs, overheadMs } = tally(given);
      const sum = (of: (part: (typeof parts)[number]) => number) => parts.map(of).reduce((a, b) => a + b, 0);
      expect(sum(({ allMs }) => allMs)).toBe(totalMs);
      expect(sum(({ allMs, ownMs }) => allMs - ownMs)).toBe(overheadMs);
      for (const { allMs, ownMs, name } of parts)
        if (name !== `${given.steps.length} more commits`) expect(ownMs).toBeLessThanOrEqual(allMs);
    }),
  );
});

test("the report has each part's own median, and the target beside the sum", () => {
  const one = tally({ totalMs: 270, submitMs: 20, steps: STEPS, startMs: 85, stopMs: 5 });
  const measured = reportOf([one, one, one], [{ commitMs: 8, ackMs: 20 }]);
  expect(measured.overhead).toEqual({ p50Ms: 180, p90Ms: 180, maxMs: 180 });
  expect(measured.parts.map(({ name, overhead }) => [name, overhead.p50Ms])).toEqual([
    ["submit", 20],
    ["start", 35],
    ["serve", 30],
    ["cordon", 20],
    ["stop", 35],
    ["4 more commits", 40],
  ]);
  expect(textOf(measured, 300).join("\n")).toContain("target: p50 below 300");
});
