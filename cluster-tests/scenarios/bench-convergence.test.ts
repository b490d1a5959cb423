// The benchmark itself, small and for real: what it prints, in what order its figures must stand, and that it leaves nothing behind.
// No time is judged.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Report } from "../bench/convergence/report/report.ts";
import { startCli } from "../harness/cli.ts";
import { until } from "../harness/observe.ts";
import { processesOf } from "../harness/running-vms.ts";

const SIZE = ["--hosts", "2", "--proxies", "2", "--rate", "10", "--seconds", "2", "--rounds", "1"];
const WRITES = 20;

/** All that a run makes is in here. */
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "grapevine-bench-test-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function expectNothingLeft(): void {
  expect(processesOf(folder)).toEqual([]);
  expect(readdirSync(folder).filter((name) => name.startsWith("grapevine-bench-"))).toEqual([]);
}

test("bench convergence --json loses nothing, and says of all that it measured what it cost", async () => {
  const html = join(folder, "page.html");
  const args = ["bench", "convergence", ...SIZE, "--seed", "7", "--floors", "raw,streams"];
  const { code, stdout, stderr } = await startCli([...args, "--json", "--html", html], { TMPDIR: folder })
    .result;
  expect(code, stderr).toBe(0);
  const report = JSON.parse(stdout) as Report;
  expect(report).toMatchObject({
    ...{ seed: 7, hosts: 2, proxies: 2, rate: 10, seconds: 2, rounds: 1, driver: "process", faults: "none" },
    ...{ writes: WRITES, lost: 0, storesLost: 0, node: process.version, serf: null },
    last: { count: WRITES },
    each: { count: 2 * WRITES },
    stores: { count: WRITES },
    floor: { raw: { count: WRITES, lost: 0 }, streams: { count: WRITES, lost: 0 } },
    // Each agent heard of each of its writes that it was in force everywhere.
    agents: { writes: WRITES, lost: 0 },
    perRound: [{ round: 1, order: ["ours", "raw", "streams"] }],
  });
  for (const spread of [report.last, report.each, report.stores, report.floor.raw, report.floor.streams]) {
    const { p50Ms = -1, p90Ms = -1, p99Ms = -1, maxMs = -1 } = spread ?? {};
    expect([0, p50Ms, p90Ms, p99Ms, maxMs]).toEqual(
      [0, p50Ms, p90Ms, p99Ms, maxMs].toSorted((a, b) => a - b),
    );
  }
  // A proxy routes by nothing that its store does not hold, and the last of two is no earlier than each.
  expect(report.last?.maxMs).toBe(report.each?.maxMs);
  expect(report.payloadBytes).toBeGreaterThan(200);
  for (const system of ["ours", "raw", "streams"] as const) {
    const cost = report.cost[system];
    for (const figure of [cost?.cpuMsPerWrite, cost?.rssBytesPerMember, cost?.sentBytesPerHostSecond])
      expect(figure).toBeGreaterThan(0);
  }
  expect(readFileSync(html, "utf8")).toContain("--seed 7");
  expect(stderr).toContain("round 1/1");
  expectNothingLeft();
});

test("Ctrl-C while members start ends all that it started and exits 1", async () => {
  const cli = startCli(["bench", "convergence", ...SIZE, "--floors", "none"], { TMPDIR: folder });
  await until("a member", () => (processesOf(folder).length > 0 ? true : null));
  cli.process.kill("SIGINT");
  const { code, stderr } = await cli.result;
  expect(code, stderr).toBe(1);
  expect(stderr).toContain("interrupted");
  expectNothingLeft();
});
