// `grapevine bench deploy-overhead`: how long a deploy takes beside what its VMs themselves take, on an idle cluster of processes, step
// by step, and beside it what one commit and one round trip of acks cost in the same cluster.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DevCluster } from "../../../node/cli/dev/dev-cluster.ts";
import { endOfSession } from "../../../node/cli/dev/end-of-session.ts";
import { type BenchResult, benchExitCode } from "../bench-command.ts";
import { MeasuredCluster } from "./measured-cluster.ts";
import { reportOf, textOf } from "./report.ts";
import { TimedApp } from "./timed-app.ts";

const HELP = `Usage: grapevine bench deploy-overhead [--deploys 10] [--warm-up 3] [--hosts 3] [--proxies 2] [--json]

A cluster of processes on loopback (hosts with their agents and gates, and proxies; the first three hosts vote) without traffic, and
an app of one VM, deployed anew --deploys times by rolling, each time with files that no host has yet; before that --warm-up times,
which do not count. Counted is the time from the submission to the moment at which the driver knows of the last commit, less what the
VMs themselves take: from the start of the new one's process until its host found it healthy, by the clock of that host, and from the
old one's stop signal until its process ends, by its own clock. The app sets no minimum healthy time, and there is nothing to drain.
All else counts: the submission (what it reads at a majority, names, the files' check), fetching and unpacking on the host, acks, gates,
commits, telling it to whom it concerns. Beside it: one commit (a proxy is excluded, and included again: less the same said once more,
which reads as much and commits nothing), and one round trip of acks (from such a commit to the moment at which the driver has heard of
every proxy that it is in force there).
Exit code 1: the median is not below 300 ms.`;

/** Issue 6 asks for this, typically. */
const TARGET_MS = 300;
/** Of commits and round trips, for each deploy. */
const CONTROLS = 2;

/** `argv` is what follows "deploy-overhead". Resolves with the exit code. */
export function runBench(argv: readonly string[]): Promise<number> {
  const count = (value: number, min: number, max: number) => ({ value, min, max });
  const numbers = {
    deploys: count(10, 1, 10_000),
    "warm-up": count(3, 1, 1_000),
    hosts: count(3, 1, 16),
    proxies: count(2, 1, 16),
  };
  return benchExitCode({ help: HELP, numbers, texts: {} }, argv, async ({ numbers: asked, say }) => {
    const signal = endOfSession();
    const scratch = mkdtempSync(join(tmpdir(), "gv-bench-"));
    const app = new TimedApp("web", scratch);
    const { hosts, proxies } = asked;
    const cluster = await DevCluster.start({ hosts, proxies, stateDir: null, logLevel: "warn" }, signal);
    try {
      return await measure(cluster, app, { ...asked, say, signal });
    } finally {
      await cluster.stop();
      app.remove();
      rmSync(scratch, { recursive: true, force: true });
    }
  });
}

interface Run {
  readonly deploys: number;
  readonly "warm-up": number;
  readonly hosts: number;
  readonly proxies: number;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

async function measure(dev: DevCluster, app: TimedApp, run: Run): Promise<BenchResult> {
  const { deploys, hosts, proxies, say, signal } = run;
  const cluster = await MeasuredCluster.start(dev.view(), app, signal);
  try {
    for (let count = 0; count < run["warm-up"]; count += 1) {
      await cluster.deploy();
      await cluster.control();
    }
    const tallies = [];
    const controls = [];
    for (let count = 1; count <= deploys; count += 1) {
      const tallied = await cluster.deploy();
      tallies.push(tallied);
      say(
        `deploy ${count} of ${deploys}: ${Math.round(tallied.overheadMs)} of ${Math.round(tallied.totalMs)} ms`,
      );
      for (let tries = 0; tries < CONTROLS; tries += 1) controls.push(await cluster.control());
    }
    const measured = reportOf(tallies, controls);
    const report = { hosts, proxies, deploys, targetMs: TARGET_MS, ...measured };
    return { report, lines: textOf(measured, TARGET_MS), isGood: measured.overhead.p50Ms < TARGET_MS };
  } finally {
    cluster.stop();
  }
}
