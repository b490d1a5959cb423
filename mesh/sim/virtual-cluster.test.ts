import { expect, test } from "vitest";
import { digestOf } from "../core/digest.ts";
import { KEPT_KEY, VirtualCluster, type VirtualMember } from "./virtual-cluster.ts";

/** More is the big simulator's; these few run in a few seconds. */
const SEEDS = Number(process.env["SIM_SEEDS"] ?? 8);
const FIRST_SEED = Number(process.env["SIM_SEED"] ?? 1);
const STEPS = 120;
/** After the heal: a few rounds of anti-entropy with one random peer each. */
const CONVERGED_WITHIN_MS = 8_000;

/** One fault or write of a member that is up. */
function disturb(cluster: VirtualCluster): void {
  const { random, members } = cluster;
  const pick = (): VirtualMember => members[Math.floor(random() * members.length)]!;
  const [member, other, dice] = [pick(), pick(), random()];
  if (member.replica === undefined) {
    if (dice < 0.3) cluster.start(member);
  } else if (dice < 0.55) {
    // Some are large, so that a member's state takes more than one delta; the kept one is small and replaced often.
    const size = random() < 0.3 ? 60_000 : 20;
    const key = `key-${Math.floor(random() * 30)}`;
    cluster.write(member, key, new Uint8Array(size).fill(random() * 256));
    if (member.wanted.has(KEPT_KEY)) cluster.write(member, KEPT_KEY, new Uint8Array([random() * 256]));
  } else if (dice < 0.7) {
    const [key] = [...member.wanted.keys()].filter((name) => name !== KEPT_KEY);
    if (key !== undefined && member.wanted.size > 12) cluster.write(member, key, null);
  } else if (dice < 0.77) {
    cluster.sync(member, other);
  } else if (dice < 0.86) {
    cluster.disconnect(member, other);
  } else if (dice < 0.95) {
    cluster.connect(member, other);
  } else {
    cluster.crash(member, random() < 0.3);
  }
}

function expectConverged(cluster: VirtualCluster): void {
  const digests = cluster.members.map(({ replica }) =>
    [...digestOf(replica!.store)].sort((left, right) => (left.owner < right.owner ? -1 : 1)),
  );
  for (const digest of digests) expect(digest, "converges").toEqual(digests[0]);
  for (const observer of cluster.members) {
    for (const { owner, wanted } of cluster.members) {
      const found = observer.replica!.store.list("").filter((entry) => entry.owner === owner);
      const values = new Map(found.map((entry) => [entry.key, entry.value]));
      expect(values, "no-lost-entry, no-resurrection").toEqual(new Map([...wanted].sort()));
    }
  }
}

test.each(Array.from({ length: SEEDS }, (_, at) => FIRST_SEED + at))(
  "members converge after losses, cuts, crashes and lost disks: seed %i",
  (seed) => {
    const options = {
      seed,
      size: 5,
      lossRate: 0.3,
      duplicationRate: 0.2,
      overflowRate: 0.02,
      delayMsMax: 40,
    };
    const cluster = new VirtualCluster(options);
    for (let at = 0; at < STEPS; at += 1) {
      disturb(cluster);
      cluster.runFor(cluster.random() * 120);
    }
    cluster.heal();
    cluster.runFor(CONVERGED_WITHIN_MS);
    for (const member of cluster.members) for (const other of cluster.members) cluster.sync(member, other);
    const reached = cluster.syncsReached;
    cluster.runFor(CONVERGED_WITHIN_MS);
    expect(cluster.syncsReached - reached).toBe(cluster.members.length * (cluster.members.length - 1));
    expect(cluster.violations).toEqual([]);
    expectConverged(cluster);
  },
);
