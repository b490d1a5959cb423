import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { runSeed, type SeedOptions } from "./run-seed.ts";
import { runSeeds } from "./run-seeds.ts";

const SMALL = { apps: 6, broken: null } as const;

function traceOf(options: SeedOptions): string {
  const lines: string[] = [];
  const result = runSeed(options, (atMs, line) => lines.push(`${atMs} ${line}`));
  return [...lines, JSON.stringify(result)].join("\n");
}

test("the same seed repeats to the byte, and another is another run", () => {
  const first = traceOf({ ...SMALL, seed: 3 });
  expect(first).toContain("CRASHES");
  expect(first).toContain("HEAL");
  expect(traceOf({ ...SMALL, seed: 3 })).toBe(first);
  expect(traceOf({ ...SMALL, seed: 4 })).not.toBe(first);
});

test("worker threads give what a run in place gives, in the order of the seeds", async () => {
  const told: number[] = [];
  const results = await runSeeds({ ...SMALL, firstSeed: 5, seeds: 3 }, ({ seed }) => told.push(seed));
  expect(told).toEqual([5, 6, 7]);
  expect(results).toEqual([5, 6, 7].map((seed) => runSeed({ ...SMALL, seed })));
});

test("the voters were 1, 3, 5 and 3 again in each run, and all of them settled", () => {
  const sizes: number[] = [];
  const { counts, violations } = runSeed({ ...SMALL, seed: 1 }, (_atMs, line, register) => {
    const list = /^CHOSEN \d+ "([^"]*)"/.exec(line)?.[1];
    const size = list?.split(" ").length;
    if (register === "voters" && size !== undefined && sizes.at(-1) !== size) sizes.push(size);
  });
  expect(violations).toEqual([]);
  expect(counts.settles).toBe(counts.voterChanges);
  const [three, five] = [sizes.indexOf(3), sizes.indexOf(5)];
  expect(three).toBeGreaterThanOrEqual(0);
  expect(five).toBeGreaterThan(three);
  expect(sizes.at(-1)).toBe(3);
});

const run = promisify(execFile);
const MAIN = new URL("./main.ts", import.meta.url).pathname;

test("--json prints one object and nothing else", async () => {
  const { stdout } = await run(process.execPath, [MAIN, "--apps", "5", "--seeds", "2", "--json"]);
  expect(JSON.parse(stdout)).toMatchObject({ apps: 5, seeds: 2, failedSeeds: [], counts: {} });
});

test("a failure exits 1, with what happened to that register and the line that replays it", async () => {
  const args = [MAIN, "--apps", "5", "--seeds", "1", "--break", "hidden-vote"];
  const failed: { code?: number; stderr?: string } = await run(process.execPath, args).then(
    () => ({}),
    (error) => error,
  );
  expect(failed.code).toBe(1);
  expect(failed.stderr).toMatch(
    /what happened to \S+ before:\n(?:.*\n)*.*CHOSEN.*\n(?:.*\n)*.*one-register FAILS/,
  );
  expect(failed.stderr).toContain(
    "npm run sim:registers -- --seeds 1 --seed 1 --apps 5 --break hidden-vote\n",
  );
});

test.each([
  ["--break", "everything"],
  ["--apps", "0"],
  ["--seeds", "0"],
  ["--seed", "-1"],
  ["--app", "5"],
  ["--json", "--verbose"],
])("a wrong option exits 2 and is named: %s %s", async (...args) => {
  await expect(run(process.execPath, [MAIN, ...args])).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringContaining(args[0] as string),
  });
});
