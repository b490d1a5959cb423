import { expect, test } from "vitest";
import { seededRandom } from "../../../mesh/sim/seeded-random.ts";
import { planWrites } from "./schedule.ts";

const plan = (seed: number) => planWrites({ hosts: 4, rate: 10, seconds: 6, random: seededRandom(seed) });

test("planWrites() gives each interval of the rate one write, in order, and each host its turn", () => {
  const { writes, fromMs, toMs } = plan(1);
  const counted = writes.filter(({ atMs }) => atMs >= fromMs);
  expect(counted).toHaveLength(60);
  expect(toMs - fromMs).toBe(6_000);
  for (const [at, { atMs }] of counted.entries()) {
    expect(atMs).toBeGreaterThanOrEqual(fromMs + at * 100);
    expect(atMs).toBeLessThan(fromMs + (at + 1) * 100);
  }
  for (let at = 0; at < writes.length - 3; at += 4)
    expect(new Set(writes.slice(at, at + 4).map(({ host }) => host)).size).toBe(4);
});

test("planWrites() warms up before anything counts", () => {
  const { writes, fromMs } = plan(1);
  const warmUps = writes.slice(0, -60);
  expect(warmUps).toHaveLength(20);
  expect(warmUps.every(({ atMs }) => atMs < fromMs)).toBe(true);
});

test("planWrites() is the same for the same seed alone", () => {
  expect(plan(7)).toEqual(plan(7));
  expect(plan(7)).not.toEqual(plan(8));
});
