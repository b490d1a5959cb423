// Registers under kill -9 and loss of disks, for as long as one likes: what was done, what was seen, and whether all of it can be
// explained. `npm run bench:registers-faults -- --help`. The same code as `scenarios/registers.test.ts`.

import { type RegisterFaultsReport, runRegisterFaults } from "../harness/register-faults.ts";
import { runBench } from "./bench-command.ts";

const HELP = `Usage: npm run bench:registers-faults -- [--seconds 120] [--seed N] [--json]

Five hosts as processes, three of them voters, and three clients that swap and read eight registers all the time, each at a voter
of its own as long as it runs. Voters are killed (-9), one or all three at once, and started again; some lose what they promised
or their whole disk meanwhile, and are replaced by a change of the voter list. Exit code 1: no order of the operations explains
what clients saw, or a commit that was acknowledged does not stand.`;

await runBench(
  { help: HELP, numbers: { seconds: { value: 120, min: 5, max: 86_400 } }, texts: {} },
  async ({ numbers: { seconds }, seed, say }) => {
    const report = await runRegisterFaults({
      seed,
      isOver: ({ elapsedMs }) => elapsedMs >= seconds * 1_000,
      say,
    });
    return { report: { seconds, ...report }, lines: linesOf(report), isGood: report.faults.length === 0 };
  },
);

function linesOf(report: RegisterFaultsReport): readonly string[] {
  const { operations, reads, commits, conflicts, unknowns, failures, faults } = report;
  const verdict = faults.length === 0 ? ["linearizable, no commit lost"] : faults;
  return [
    `${operations} operations in ${(report.elapsedMs / 1_000).toFixed(1)} s: ${reads} reads, ${commits} commits, ${conflicts} conflicts, ${unknowns} swaps of unknown outcome, ${failures} given up`,
    `${report.kills} kills (all voters at once ${report.killsOfAll} times), ${report.disksLost} disks lost, ${report.voterChanges} changes of voters`,
    `longest time without a commit while a majority ran: ${report.longestGapMs.toFixed(0)} ms`,
    ...verdict,
  ];
}
