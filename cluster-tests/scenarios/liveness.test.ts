// Who is alive, as real members judge it: each fault is seen by all, is blamed on nobody else, and is forgotten once it is over.

import { afterEach, expect, test } from "vitest";
import { MeshProcesses } from "../harness/mesh-processes.ts";

const FIVE = ["a", "b", "c", "d", "e"] as const;
const OTHERS = ["a", "b", "c", "d"] as const;
/** Says that a test hangs; each wait says what it lacks before. */
const HANG_MS = 90_000;

const clusters: MeshProcesses[] = [];
afterEach(async () => {
  await Promise.all(clusters.splice(0).map((cluster) => cluster.dispose()));
});

async function startFive(): Promise<MeshProcesses> {
  const cluster = await MeshProcesses.create(FIVE);
  clusters.push(cluster);
  await cluster.startAll((name) => ({ "vm/0": name }));
  await cluster.expectEqual();
  return cluster;
}

function untilJudged(cluster: MeshProcesses, owner: string, state: string): Promise<void> {
  return cluster.until(`e ${state} at all others`, () =>
    OTHERS.every((name) => cluster.member(name).stateOf(owner) === state),
  );
}

/** Of all that ran all the time nobody was held dead by anybody, however late it was for a moment. */
function expectNobodyElseDied(cluster: MeshProcesses): void {
  const owners = OTHERS.map((name) => cluster.member(name).owner);
  const died = OTHERS.flatMap((name) =>
    cluster.member(name).judgements.filter(({ owner, state }) => state === "dead" && owners.includes(owner)),
  );
  expect(died).toEqual([]);
}

test(
  "who is killed is dead to all others, and alive with its next start",
  async () => {
    const cluster = await startFive();
    const { owner } = cluster.member("e");
    await cluster.kill("e");
    await untilJudged(cluster, owner, "dead");
    expectNobodyElseDied(cluster);
    await cluster.start("e", { "vm/0": "e again" });
    await untilJudged(cluster, owner, "alive");
    await cluster.expectEqual();
  },
  HANG_MS,
);

test(
  "who is stopped is dead to all others, and alive as soon as it goes on, with all that was written meanwhile",
  async () => {
    const cluster = await startFive();
    const frozen = cluster.member("e");
    frozen.freeze();
    await untilJudged(cluster, frozen.owner, "dead");
    await cluster.write("a", { "vm/1": "while e was frozen" });
    expectNobodyElseDied(cluster);
    frozen.thaw();
    await untilJudged(cluster, frozen.owner, "alive");
    await cluster.expectEqual();
  },
  HANG_MS,
);

test(
  "who leaves has left for all others, without ever being suspect or dead",
  async () => {
    const cluster = await startFive();
    const { owner } = cluster.member("e");
    await cluster.stopMember("e");
    await untilJudged(cluster, owner, "left");
    for (const name of OTHERS) {
      const states = cluster
        .member(name)
        .judgements.flatMap((judged) => (judged.owner === owner ? [judged.state] : []));
      expect(states).toEqual(["left"]);
    }
    await cluster.start("e", { "vm/0": "e again" });
    await untilJudged(cluster, owner, "alive");
  },
  HANG_MS,
);

test(
  "in a partition in halves nobody is dead, however long; after it all are alive",
  async () => {
    const cluster = await MeshProcesses.create(OTHERS);
    clusters.push(cluster);
    await cluster.startAll((name) => ({ "vm/0": name }));
    await cluster.expectEqual();
    const [left, right] = [OTHERS.slice(0, 2), OTHERS.slice(2)];
    cluster.part(left, right, "hole");
    const isHeldBack = (observer: string, others: readonly string[]) =>
      others.every((other) => cluster.member(observer).stateOf(cluster.member(other).owner) === "suspect");
    await cluster.until("each side suspects the other", () =>
      OTHERS.every((name) => isHeldBack(name, left.includes(name) ? right : left)),
    );
    // Each judgement that would be a death is held back and counted, a few times a second.
    for (const name of OTHERS) await cluster.untilCounted(name, "deaths-braked", 20);
    expectNobodyElseDied(cluster);
    cluster.heal();
    await cluster.until("all alive", () =>
      OTHERS.every((name) =>
        OTHERS.every((other) => cluster.member(name).stateOf(cluster.member(other).owner) === "alive"),
      ),
    );
    expectNobodyElseDied(cluster);
    await cluster.expectEqual();
  },
  HANG_MS,
);
