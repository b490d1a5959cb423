// The measurement of what a deploy costs, as people start it: what it prints adds up, and nothing of it is left. Its figures are no test's.

import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Measured } from "../bench/deploy-overhead/report.ts";
import { startCli } from "../harness/cli.ts";
import { processesOf } from "../harness/running-vms.ts";

/** All that a run makes is in here. */
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "grapevine-bench-test-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("bench deploy-overhead --json says of one deploy where its time went", async () => {
  const size = ["--hosts", "1", "--proxies", "1", "--deploys", "1", "--warm-up", "1"];
  const args = ["bench", "deploy-overhead", ...size, "--json"];
  const { code, stdout, stderr } = await startCli(args, { TMPDIR: folder }).result;
  expect([0, 1], stderr).toContain(code);
  const report = JSON.parse(stdout) as Measured & { readonly isGood: boolean };
  expect(report).toMatchObject({ deploys: 1, hosts: 1, proxies: 1, isGood: code === 0 });
  const names = report.parts.map(({ name }) => name);
  expect(names).toEqual(["submit", "start", "serve", "cordon", "stop", "4 more commits"]);
  const sum = report.parts.reduce((total, { overhead }) => total + overhead.p50Ms, 0);
  // Of one deploy each median is the figure itself; each was rounded to a tenth.
  expect(Math.abs(sum - report.overhead.p50Ms)).toBeLessThan(1);
  expect(report.parts.find(({ name }) => name === "start")?.vmItself.p50Ms).toBeGreaterThan(0);
  expect(report.ackRoundTrip.p50Ms).toBeGreaterThan(0);
  expect(processesOf(folder)).toEqual([]);
  expect(readdirSync(folder).filter((name) => /^(grapevine-|gv-bench-)/.test(name))).toEqual([]);
});

test("bench deploy-overhead refuses an option that it does not have, with --json in one value", async () => {
  const args = ["bench", "deploy-overhead", "--deploys", "none", "--json"];
  const { code, stdout } = await startCli(args, { TMPDIR: folder }).result;
  expect(code).toBe(2);
  expect(JSON.parse(stdout)).toMatchObject({ error: { code: "invalid" }, exitCode: 2 });
});
