// Proof: whether counts of two releases prove that the share of bad requests of the one is higher than that of the other by more than a
// tolerance. They may be looked at after every request, as often as one likes, and the chance of a wrong "proven" stays below alpha.
//
// Betting against "the new one's share is at most the old one's plus the tolerance" (Ville 1939; Robbins 1970; Howard, Ramdas, McAuliffe
// and Sekhon 2021; for canaries Lindon and Malek 2022; for two shares Turner and Grunwald 2023). For one supposed share y of the old
// release, a bet on the new one wins theta / (1 + (theta - 1) x) with each bad request and 1 / (1 + (theta - 1) x) with each other one,
// x = y + tolerance, theta > 1; a bet on the old one the same with x = y, theta < 1. If y is true, neither grows on average, nor does a
// mixture over thetas, nor the product of both: by Ville's inequality it ever reaches 1 / alpha with a chance of alpha at most. Proven
// is what holds for every y. Shares that change while it runs, for both alike, do no harm at any one moment: the mean of such bets is
// largest where the share is constant (arithmetic and geometric mean).

export interface Tally {
  readonly bad: number;
  readonly all: number;
}

export interface Claim {
  /** Of the new release, and of the old one. */
  readonly fresh: Tally;
  readonly old: Tally;
  /** A difference of the shares up to it is nobody's business. */
  readonly tolerance: number;
  /** The chance of a wrong proof, over all looks. */
  readonly alpha: number;
}

/** Odds against odds: from half as many again to nearly all against hardly any. 1: the part that is not bet. */
const BETS_UP = [1, 1.5, 2, 3, 6, 12, 50, 400] as const;
/** Of the old release: how much rarer than supposed. What it proves is only how high its share is not. */
const BETS_DOWN = [1, 0.9, 0.75, 0.5, 0.25, 0.05] as const;
/** Thirds of the range of shares that are cut off, until a quadrillionth is left. */
const CUTS = 85;

/**
 * What the bets have made by each share is convex: each of them grows by the negative logarithm of what is linear in it, and sums and mixtures
 * of what is convex are. So the least is found by narrowing, however close to the goal it is, and whatever the counts are.
 */
export function isProvenWorse({ fresh, old, tolerance, alpha }: Claim): boolean {
  const goal = -Math.log(alpha);
  const made = (share: number) =>
    winnings(fresh, share + tolerance, BETS_UP) + winnings(old, share, BETS_DOWN);
  let [low, high] = [0, 1];
  if (made(low) < goal || made(high) < goal) return false;
  for (let cut = 0; cut < CUTS; cut += 1) {
    const third = (high - low) / 3;
    const [left, right] = [made(low + third), made(high - third)];
    if (left < goal || right < goal) return false;
    if (left < right) high -= third;
    else low += third;
  }
  return true;
}

/** Logarithm of what evenly mixed bets made of 1. */
function winnings({ bad, all }: Tally, share: number, bets: readonly number[]): number {
  const logs = bets.map((theta) => bad * Math.log(theta) - all * Math.log1p((theta - 1) * share));
  const most = Math.max(...logs);
  const sum = logs.reduce((total, log) => total + Math.exp(log - most), 0);
  return most + Math.log(sum / bets.length);
}

/** 0 of nothing. */
export function shareOf({ bad, all }: Tally): number {
  return all === 0 ? 0 : bad / all;
}
