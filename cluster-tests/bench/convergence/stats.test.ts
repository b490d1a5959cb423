import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { percentile } from "../../../mesh/sim/quantiles.ts";
import { median, spreadOf } from "./stats.ts";

describe("percentile()", () => {
  it("is a figure that was measured, below which the share lies", () => {
    const hundred = Array.from({ length: 100 }, (_, at) => at + 1);
    expect([0.5, 0.9, 0.99, 1].map((share) => percentile(hundred, share))).toEqual([50, 90, 99, 100]);
    expect(percentile([7], 0.5)).toBe(7);
  });

  it("equals a count of the obvious kind", () => {
    const shares = fc.constantFrom(0.01, 0.5, 0.9, 0.99, 1);
    fc.assert(
      fc.property(fc.array(fc.nat(50), { minLength: 1 }), shares, (figures, share) => {
        const sorted = figures.toSorted((left, right) => left - right);
        const found = percentile(sorted, share);
        const reached = (limit: number) =>
          figures.filter((figure) => figure <= limit).length / figures.length;
        expect(reached(found)).toBeGreaterThanOrEqual(share);
        expect(figures.filter((figure) => figure < found).length / figures.length).toBeLessThan(share);
      }),
    );
  });
});

test("spreadOf() says nothing of nothing, and does not change what it is given", () => {
  const figures = [3, 1, 2];
  expect(spreadOf([])).toBeNull();
  expect(spreadOf(figures)).toEqual({ count: 3, p50Ms: 2, p90Ms: 3, p99Ms: 3, maxMs: 3 });
  expect(figures).toEqual([3, 1, 2]);
});

test("median() of an even count is between the two in the middle", () => {
  expect([median([4, 1, 2, 3]), median([3, 1, 2]), median([])]).toEqual([2.5, 2, null]);
});
