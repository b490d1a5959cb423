import { describe, expect, test } from "vitest";
import { LivenessCluster } from "./cluster.ts";
import { FAULTS, measureDetection, measureFalseDeaths } from "./measure.ts";

const SEEDS = Array.from({ length: 5 }, (_, index) => 100 + index);
const FIFTY = {
  members: 50,
  links: 49,
  isLifeguard: true,
  place: "lan",
  loss: 0,
  slow: 0,
  lossy: 0,
  lossyLoss: 0,
} as const;

describe("fifty members", () => {
  test.each(FAULTS)("see one that is %s, all of them, and blame nobody else", (fault) => {
    for (const seed of SEEDS) {
      const { lastMs, falseDeaths } = measureDetection({ ...FIFTY, seed }, fault);
      expect([seed, lastMs === undefined, falseDeaths]).toEqual([seed, false, 0]);
    }
  });

  test("of whom some have little CPU, over links that lose, hold nobody dead that is well", () => {
    for (const seed of SEEDS) {
      const found = measureFalseDeaths({ ...FIFTY, seed, slow: 3, loss: 0.02, lossy: 3, lossyLoss: 0.3 }, 30);
      expect([seed, found.deaths]).toEqual([seed, 0]);
    }
  });

  test("parted in halves hold nobody dead, and all alive once it is over", () => {
    for (const seed of SEEDS) {
      const cluster = new LivenessCluster({ ...FIFTY, seed });
      const died: string[] = [];
      cluster.onJudgement(({ to, observer, member }) => {
        if (to === "dead") died.push(`seed ${seed}: ${member} at ${observer}`);
      });
      cluster.run(5_000);
      cluster.part((index) => index % 2);
      // Longer than any suspicion; that the brake holds for as long as it lasts is held in core/judging.test.ts.
      cluster.run(15_000);
      expect(cluster.judgement(0, 1)).toBe("suspect");
      cluster.part(() => 0);
      cluster.run(10_000);
      const all = cluster.observers();
      const others = all.flatMap((observer) =>
        all.filter((member) => cluster.judgement(observer, member) !== "alive"),
      );
      expect([died, others]).toEqual([[], []]);
    }
  });
});
