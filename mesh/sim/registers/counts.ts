// Counts: how often what a run is for has happened, so that a reader sees that it did, and a test that none is zero.

export const COUNTS = {
  operations: "swaps and reads that clients began",
  commits: "swaps that were reported as committed",
  conflicts: "swaps that found another first",
  reads: "reads that showed what stands",
  unknowns: "swaps of which their client never learnt what became of them",
  failures: "operations that were given up before anything was proposed, or refused",
  orphans: "operations whose proposer crashed in the middle",
  duels: "refusals because another had promised higher",
  headStarts: "operations that needed no prepare",
  chosen: "votes that a majority had on disk: one for each ballot that was won",
  chosenByThree: "those of lists of 3 voters",
  chosenByFive: "those of lists of 5 voters",
  voterChanges: "voter lists that were put in force",
  settles: "lists that were settled",
  settlesTakenOver: "lists that another voter settled than the one that began to",
  recommits: "registers committed anew under a list",
  formerLists: "questions refused because they went by a former list",
  unknownLists: "questions of a list that was not known yet",
  crashes: "processes of voters and other hosts that ended without warning",
  unsyncedCrashes: "crashes between a put and its sync: what was put was lost",
  lostDisks: "voters that lost their disk and came back under another id",
  partitions: "cuts both ways around some hosts",
  oneWayCuts: "cuts in one direction",
  lateLists: "times when some hosts heard of no voter list for a while",
  slowDisks: "disks whose syncs took long for a while",
  lost: "messages lost",
  doubled: "messages delivered twice",
  late: "messages that came when nobody waited for them any more",
  certificates: "certificates that were checked",
} as const;

export type CountName = keyof typeof COUNTS;
export type Counts = Record<CountName, number>;

export const COUNT_NAMES: readonly CountName[] = Object.keys(COUNTS) as CountName[];

export function newCounts(): Counts {
  return Object.fromEntries(COUNT_NAMES.map((name) => [name, 0])) as Counts;
}

export function sumCounts(all: readonly Counts[]): Counts {
  const total = newCounts();
  for (const counts of all) for (const name of COUNT_NAMES) total[name] += counts[name];
  return total;
}
