// Registers under kill -9 and loss of disks, with real processes. FAULTS_SEED=N repeats what is random here; in what moment of an
// operation a process is killed is the machine's to say. Two minutes of it, and figures: `npm run bench:registers-faults`.

import { expect, test } from "vitest";
import { runRegisterFaults } from "../harness/register-faults.ts";

const FAULTS = 6;
/** Of these it is certain that both kinds come: a seed that has too few of one is as good as none. */
const SEED = Number(process.env["FAULTS_SEED"] ?? 1);

test("voters are killed, one or all at once, and lose disks: the history is linearizable, no commit is lost", async () => {
  const lines: string[] = [`FAULTS_SEED=${SEED}`];
  const report = await runRegisterFaults({
    seed: SEED,
    isOver: ({ faults }) => faults >= FAULTS,
    say: (line) => lines.push(line),
  });
  const story = lines.join("\n");
  expect(report.faults, story).toEqual([]);
  // Else nothing was tried.
  const { reads, commits, conflicts, unknowns, kills, killsOfAll, disksLost, voterChanges } = report;
  for (const count of [reads, commits, conflicts, unknowns, killsOfAll, disksLost])
    expect(count, story).toBeGreaterThan(0);
  expect(kills, story).toBeGreaterThanOrEqual(FAULTS);
  // Each lost voter was removed, and one added.
  expect(voterChanges, story).toBe(2 * disksLost);
});
