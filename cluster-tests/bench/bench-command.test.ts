import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { percentiles } from "./bench-command.ts";
import { TimeSeries } from "./time-series.ts";

const BENCHES = ["detection", "slow-members", "idle", "healing"];

function run(bench: string, ...args: readonly string[]) {
  const file = fileURLToPath(new URL(`${bench}.ts`, import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [file, ...args], { encoding: "utf8" });
  return { status, stdout, stderr };
}

test.each(BENCHES)("bench:%s tells its options, and refuses what is none with what it takes", (bench) => {
  const help = run(bench, "--help");
  expect(help).toMatchObject({ status: 0, stderr: "" });
  expect(help.stdout).toMatch(new RegExp(`^Usage: npm run bench:${bench} -- `));
  const refused = run(bench, "--members", "1.5");
  expect(refused).toMatchObject({ status: 2, stdout: "" });
  expect(refused.stderr).toMatch(/^--members: a whole number from \d+ to \d+, not "1\.5"\n\nUsage: /);
});

test("percentiles are figures that were measured, each the smallest that its share does not exceed", () => {
  const ten = [5, 1, 3, 2, 4, 10, 6, 8, 7, 9];
  expect(percentiles(ten)).toEqual({ p50: 5, p90: 9, p99: 10, max: 10 });
});

test("percentiles of nothing are within no target", () => {
  expect(percentiles([]).max <= 1_000).toBe(false);
});

test("a time series adds up what grew, and a new life counts from zero", () => {
  let now = new Map<string, Readonly<Record<string, number>>>([["a 1", { dials: 10 }]]);
  const series = new TimeSeries(["dials"], () => now, 1_000_000);
  now = new Map([
    ["a 2", { dials: 3 }],
    ["b 1", { dials: 4 }],
  ]);
  series.stop();
  expect([series.total("dials"), series.max("dials")]).toEqual([7, 7]);
  expect(series.chart()).toEqual(["dials         |█| at most 7, in all 7"]);
});
