import { expect, test } from "vitest";
import { bucketsBetween, quantileMs, readCounters } from "./prometheus.ts";

const text = (low: number, all: number) => `# TYPE x histogram
x_bucket{le="0.001"} ${low}
x_bucket{le="0.003"} ${all}
x_bucket{le="+Inf"} ${all}
x_count ${all}
y{why="a b"} 7`;

test("readCounters() reads samples with and without labels", () => {
  const counters = readCounters(text(1, 2));
  expect(counters.get('y{why="a b"}')).toBe(7);
  expect(counters.get("x_count")).toBe(2);
});

test("bucketsBetween() adds members, and takes off what was before", () => {
  const look = { before: readCounters(text(1, 2)), after: readCounters(text(3, 10)) };
  expect(bucketsBetween("x", [look, look])).toEqual([
    { upToSeconds: 0.001, count: 4 },
    { upToSeconds: 0.003, count: 16 },
    { upToSeconds: Number.POSITIVE_INFINITY, count: 16 },
  ]);
});

test("quantileMs() is even within a bucket, and the last bound beyond it", () => {
  const buckets = bucketsBetween("x", [{ before: new Map(), after: readCounters(text(2, 4)) }]);
  expect(quantileMs(buckets, 0.25)).toBeCloseTo(0.5);
  expect(quantileMs(buckets, 0.75)).toBeCloseTo(2);
  expect(
    quantileMs(
      [
        { upToSeconds: 0.5, count: 0 },
        { upToSeconds: Number.POSITIVE_INFINITY, count: 1 },
      ],
      1,
    ),
  ).toBe(500);
  expect(quantileMs([], 0.5)).toBeNull();
});
