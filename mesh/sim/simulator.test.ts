import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { ONE_WAY_MAX_MS } from "./regions.ts";
import { buildReport, describeReport } from "./report.ts";
import { runSeed } from "./run-seed.ts";
import { runSeeds } from "./run-seeds.ts";

const WAN = { hosts: 24, profile: "wan", broken: undefined } as const;
const CHAOS = { hosts: 12, profile: "chaos", broken: undefined } as const;

function traceOf(seed: number): string {
  const lines: string[] = [];
  const result = runSeed({ ...CHAOS, seed }, (atMs, line) => lines.push(`${atMs} ${line}`));
  return [...lines, JSON.stringify(result)].join("\n");
}

test("the same seed repeats to the byte, and another is another run", () => {
  const first = traceOf(3);
  expect(first).toContain("FAULT crash");
  expect(traceOf(3)).toBe(first);
  expect(traceOf(4)).not.toBe(first);
});

test("worker threads give what a run in place gives, in the order of the seeds", async () => {
  const options = { ...CHAOS, firstSeed: 5, seeds: 3, workers: 2 };
  const told: number[] = [];
  const results = await runSeeds(options, ({ seed }) => told.push(seed));
  expect(told).toEqual([5, 6, 7]);
  expect(results).toEqual([5, 6, 7].map((seed) => runSeed({ ...CHAOS, seed })));
});

test("nothing is late or lost where nothing fails, and the last member is reached within four largest delays", () => {
  const report = buildReport(WAN, [runSeed({ ...WAN, seed: 1 }), runSeed({ ...WAN, seed: 2 })]);
  expect(report).toMatchObject({ unexplained: 0, explained: 0, oneWayMaxMs: ONE_WAY_MAX_MS, violations: {} });
  expect(report.last.p99Ms).toBeLessThan(4 * ONE_WAY_MAX_MS);
  expect(report.deliveries).toBe(report.writes * (WAN.hosts - 1));
  expect(report.duplicates).toBeGreaterThan(0);
  expect(describeReport(report)).toContain("0 unexplained");
});

test("crashes are explained, and no miss besides them", () => {
  const report = buildReport(WAN, [runSeed({ ...WAN, profile: "wan-faults", seed: 1 })]);
  expect(report).toMatchObject({ unexplained: 0, violations: {} });
  expect(report.last.maxMs).not.toBeNull();
});

const run = promisify(execFile);
const MAIN = new URL("./main.ts", import.meta.url).pathname;

test("--json prints one object and nothing else", async () => {
  const { stdout } = await run(process.execPath, [MAIN, "--hosts", "8", "--seeds", "2", "--json"]);
  expect(JSON.parse(stdout)).toMatchObject({ hosts: 8, seeds: 2, unexplained: 0, last: {}, each: {} });
});

test("a failed invariant exits 1 with the line that replays it", async () => {
  const args = [MAIN, "--hosts", "20", "--break", "anti-entropy"];
  const line = "npm run sim -- --hosts 20 --seeds 1 --seed 1 --profile chaos --break anti-entropy --verbose";
  await expect(run(process.execPath, args)).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining(line),
  });
});

test.each([
  ["--profile", "lan"],
  ["--break", "everything"],
  ["--hosts", "1"],
  ["--seeds", "0"],
  ["--seed", "-1"],
  ["--hostss", "5"],
  ["--json", "--verbose"],
])("a wrong option exits 2 and is named: %s %s", async (...args) => {
  await expect(run(process.execPath, [MAIN, ...args])).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringContaining(args[0] as string),
  });
});
