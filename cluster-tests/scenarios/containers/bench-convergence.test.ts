// The convergence benchmark with its members in containers, small and for real: it loses nothing, and however it ends no container,
// network or folder of it is left. No time is judged.

import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import type { Report } from "../../bench/convergence/report/report.ts";
import { type RunningCli, startCli } from "../../harness/cli.ts";
import { docker } from "../../harness/containers/docker.ts";
import { leftovers } from "../../harness/containers/leftovers.ts";
import { until } from "../../harness/observe.ts";

const SIZE = ["--hosts", "2", "--proxies", "2", "--rate", "10", "--seconds", "2", "--rounds", "1"];
const WRITES = 20;
const RUN_ID = /\bgv-bench-[0-9a-f]{8}\b/g;

const image = inject("image");

describe.skipIf(image === null)("bench convergence --driver container", () => {
  /** All that a run makes on this machine is in here. */
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "grapevine-bench-test-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function startBench(...args: readonly string[]): RunningCli {
    const argv = ["bench", "convergence", ...SIZE, "--driver", "container", ...args];
    return startCli(argv, { TMPDIR: folder }, { ownGroup: true });
  }

  /** `stderr` names what was made. */
  async function expectNothingLeft(stderr: string, runs: number): Promise<void> {
    const ids = [...new Set(stderr.match(RUN_ID))];
    expect(ids).toHaveLength(runs);
    for (const id of ids) expect(await leftovers(id)).toEqual([]);
    // Beside what Node keeps of compiled code.
    expect(readdirSync(folder).filter((name) => name.includes("-bench-"))).toEqual([]);
  }

  test("--json loses nothing, beside a floor of its kind, and nothing is left", async () => {
    const { code, stdout, stderr } = await startBench("--floors", "raw", "--json", "--seed", "7").result;
    expect(code, stderr).toBe(0);
    const report = JSON.parse(stdout) as Report;
    expect(report).toMatchObject({
      ...{ seed: 7, hosts: 2, proxies: 2, driver: "container", writes: WRITES, lost: 0, storesLost: 0 },
      last: { count: WRITES },
      each: { count: 2 * WRITES },
      floor: { raw: { count: WRITES, lost: 0 }, streams: null },
      agents: { lost: 0 },
    });
    // The image's.
    expect(report.node).toMatch(/^v24\./);
    expect(report.cost.ours?.sentBytesPerHostSecond).toBeGreaterThan(0);
    await expectNothingLeft(stderr, 2);
  });

  test.each([
    { end: "Ctrl-C", says: "interrupted", act: ({ process: { pid } }: RunningCli) => pressCtrlC(pid) },
    { end: "the death of a member", says: "host-1 ended (exit code 137)", act: killMember },
  ])("$end while members start ends it with 1, and nothing is left", async ({ says, act }) => {
    const bench = startBench("--floors", "none");
    const member = await until("a container", () => firstMember(folder));
    await act(bench, member);
    const { code, stderr } = await bench.result;
    expect(code, stderr).toBe(1);
    expect(stderr).toContain(says);
    await expectNothingLeft(stderr, 1);
  });
});

/** The first container of the run whose folder is here, once it runs; null: it does not yet. */
async function firstMember(folder: string): Promise<string | null> {
  const [id] = readdirSync(folder).join(" ").match(RUN_ID) ?? [];
  const running = await docker("ps", "--quiet", "--filter", `name=^${id}-host-1$`);
  return running === "" ? null : running;
}

/** A terminal tells the whole group of processes. */
async function pressCtrlC(pid: number | undefined): Promise<void> {
  if (pid !== undefined) process.kill(-pid, "SIGINT");
}

async function killMember(_bench: RunningCli, member: string): Promise<void> {
  await docker("kill", member);
}
