import { expect, test } from "vitest";
import { compareStarts } from "../core/version.ts";
import { VirtualCluster, type VirtualMember } from "./virtual-cluster.ts";

const SEEDS = Number(process.env["SIM_SEEDS"] ?? 8);
const FIRST_SEED = Number(process.env["SIM_SEED"] ?? 1);
const STEPS = 40;
const CONVERGED_WITHIN_MS = 8_000;
const OPTIONS = {
  size: 5,
  lossRate: 0.3,
  duplicationRate: 0.2,
  overflowRate: 0.02,
  delayMsMax: 40,
  hasSnapshots: true,
} as const;

const seeds = Array.from({ length: SEEDS }, (_, at) => FIRST_SEED + at);

/** The last one is the one that goes; the first is told to forget it. */
function membersOf(cluster: VirtualCluster) {
  const [gone, teller] = [cluster.members.at(-1)!, cluster.members[0]!];
  return { gone, teller, others: cluster.members.filter((member) => member !== gone) };
}

/** Cuts, crashes, restarts from disk and without one, of all but those that are gone. The teller keeps its disk. */
function disturb(cluster: VirtualCluster): void {
  const { random } = cluster;
  const { teller } = membersOf(cluster);
  const present = cluster.members.filter(({ isGone }) => !isGone);
  const pick = (): VirtualMember => present[Math.floor(random() * present.length)]!;
  const [member, other, dice] = [pick(), pick(), random()];
  if (member.replica === undefined) {
    if (dice < 0.5) cluster.start(member);
  } else if (dice < 0.4) {
    cluster.write(member, `key-${Math.floor(random() * 9)}`, new Uint8Array([random() * 256]));
  } else if (dice < 0.6) {
    cluster.disconnect(member, other);
  } else if (dice < 0.8) {
    cluster.connect(member, other);
  } else {
    cluster.crash(member, member !== teller && random() < 0.3);
  }
}

function disturbFor(cluster: VirtualCluster, steps: number): void {
  for (let at = 0; at < steps; at += 1) {
    disturb(cluster);
    cluster.runFor(cluster.random() * 120);
  }
}

/** Of that member: how many of the others hold something, in force or aside. */
function holders(cluster: VirtualCluster): number {
  const { gone, others } = membersOf(cluster);
  return others.filter(({ replica }) => replica?.store.owners().has(gone.owner)).length;
}

function startedWith(seed: number): VirtualCluster {
  const cluster = new VirtualCluster({ ...OPTIONS, seed });
  const { gone } = membersOf(cluster);
  cluster.write(gone, "vm/a", new Uint8Array([1]));
  cluster.runFor(3_000);
  expect(holders(cluster)).toBe(4);
  return cluster;
}

test.each(seeds)(
  "a member that was forgotten is brought back by nobody, whatever was down or cut off, and is welcome anew: seed %i",
  (seed) => {
    const cluster = startedWith(seed);
    const { gone, teller, others } = membersOf(cluster);
    cluster.crash(gone, false);
    gone.isGone = true;
    disturbFor(cluster, STEPS);
    if (teller.replica === undefined) cluster.start(teller);
    // Some are cut off or down at this moment, with all of it on their disks.
    cluster.forget(teller, gone);
    disturbFor(cluster, STEPS);
    cluster.heal();
    cluster.runFor(CONVERGED_WITHIN_MS);
    expect(holders(cluster)).toBe(0);
    // Everybody at once.
    for (const member of others) cluster.crash(member, false);
    cluster.heal();
    cluster.runFor(CONVERGED_WITHIN_MS);
    expect(holders(cluster)).toBe(0);
    gone.isGone = false;
    cluster.start(gone);
    cluster.runFor(CONVERGED_WITHIN_MS);
    expect(holders(cluster)).toBe(4);
    for (const { replica } of others) expect(replica?.store.get(gone.owner, "vm/a")).toBeDefined();
    expect(cluster.violations).toEqual([]);
  },
);

test.each(seeds)(
  "one that lives and was forgotten by mistake begins anew, and all have it again: seed %i",
  (seed) => {
    const cluster = startedWith(seed);
    const { gone, teller, others } = membersOf(cluster);
    const before = gone.replica!.store.head(gone.owner)!;
    for (const other of others) cluster.disconnect(gone, other);
    cluster.forget(teller, gone);
    cluster.runFor(CONVERGED_WITHIN_MS);
    expect(holders(cluster)).toBe(0);
    cluster.heal();
    cluster.runFor(CONVERGED_WITHIN_MS);
    for (const { replica } of others) {
      const head = replica!.store.head(gone.owner)!;
      expect(compareStarts(head, before)).toBeGreaterThan(0);
      expect(replica!.store.get(gone.owner, "vm/a")).toBeDefined();
    }
  },
);
