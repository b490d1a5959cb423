import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { seededRandom } from "../../../../mesh/sim/seeded-random.ts";
import { type Claim, isProvenWorse, type Tally } from "./proof.ts";

const tallies = fc
  .record({ all: fc.nat({ max: 5_000 }), share: fc.double({ min: 0, max: 1, noNaN: true }) })
  .map(({ all, share }): Tally => ({ all, bad: Math.round(all * share * share) }));

describe("isProvenWorse()", () => {
  it("is what betting at every supposed share says, one by one", () => {
    fc.assert(
      fc.property(tallies, tallies, fc.constantFrom(0, 0.005, 0.05), (fresh, old, tolerance) => {
        const claim = { fresh, old, tolerance, alpha: 0.01 };
        const least = leastOf(claim);
        if (least < 100) expect(isProvenWorse(claim)).toBe(false);
        // Between the points of the slow way it may be less.
        if (least > 130) expect(isProvenWorse(claim)).toBe(true);
      }),
      { numRuns: 150 },
    );
  });

  it("proves nothing of nothing, and nothing of a difference that is tolerated", () => {
    const old = { bad: 0, all: 100_000 };
    expect(isProvenWorse({ fresh: { bad: 0, all: 0 }, old, tolerance: 0, alpha: 0.01 })).toBe(false);
    expect(isProvenWorse({ fresh: { bad: 40, all: 10_000 }, old, tolerance: 0.005, alpha: 0.01 })).toBe(
      false,
    );
    expect(isProvenWorse({ fresh: { bad: 40, all: 10_000 }, old, tolerance: 0, alpha: 0.01 })).toBe(true);
  });

  it("finds the very edge of what is proven as soon as anything else", () => {
    for (const all of [1_000, 1e6, Number.MAX_SAFE_INTEGER]) {
      const old = { bad: all / 100, all };
      const isProven = (bad: number) =>
        isProvenWorse({ fresh: { bad, all }, old, tolerance: 0.005, alpha: 0.01 });
      let [least, most] = [0, all];
      // Not whole, as what is scaled down is not.
      for (let halving = 0; halving < 60; halving += 1) {
        const middle = (least + most) / 2;
        if (isProven(middle)) most = middle;
        else least = middle;
      }
      expect(isProven(most)).toBe(true);
      expect(most / all).toBeGreaterThan(0.015);
      expect(most / all).toBeLessThan(0.1);
    }
  });

  it("is wrong less often than alpha, looked at after every request, even where the tolerance just ends", () => {
    const seed = 20_261_127;
    const random = seededRandom(seed);
    const [alpha, tolerance, runs] = [0.1, 0.02, 400];
    let wrong = 0;
    for (let run = 0; run < runs; run += 1) {
      const share = [0, 0.01, 0.1][run % 3] ?? 0;
      const fresh = { bad: 0, all: 0 };
      const old = { bad: 0, all: 0 };
      for (let request = 0; request < 1_500; request += 1) {
        const isFresh = random() < 0.3;
        const tally = isFresh ? fresh : old;
        tally.all += 1;
        if (random() >= share + (isFresh ? tolerance : 0)) continue;
        tally.bad += 1;
        if (!isProvenWorse({ fresh, old, tolerance, alpha })) continue;
        wrong += 1;
        break;
      }
    }
    // A bound that holds: of so many runs more than this would be seen once in a million if the chance were alpha.
    expect(wrong, `of ${runs}, seed ${seed}`).toBeLessThanOrEqual(
      alpha * runs + 4.8 * Math.sqrt(alpha * runs),
    );
  });
});

/** What the bets have made of 1 at the share that is worst for them. */
function leastOf({ fresh, old, tolerance }: Claim): number {
  const up = [1, 1.5, 2, 3, 6, 12, 50, 400];
  const down = [1, 0.9, 0.75, 0.5, 0.25, 0.05];
  let least = Number.POSITIVE_INFINITY;
  for (let step = 0; step <= 4_000; step += 1) {
    const share = (step / 4_000) ** 3;
    least = Math.min(least, made(fresh, share + tolerance, up) * made(old, share, down));
  }
  return least;
}

function made({ bad, all }: Tally, share: number, bets: readonly number[]): number {
  const each = bets.map((theta) =>
    Math.exp(bad * Math.log(theta) - all * Math.log(1 - share + theta * share)),
  );
  return each.reduce((left, right) => left + right, 0) / bets.length;
}
