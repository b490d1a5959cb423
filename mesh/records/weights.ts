// Weights: how an app's requests are split over its releases while more than one of them serves. Whole percents, of releases
// that have serving VMs; a record without them has each serving VM count alike.

export interface ReleaseWeight {
  readonly release: number;
  /** Percent, whole. 0: its VMs are dialled, and no request reaches them but by a preview name. */
  readonly weight: number;
}

/** At least one, each release once; the weights sum to 100. A release that serves and is not named has 0. */
export type Weights = readonly ReleaseWeight[];

export const WEIGHTS_SUM = 100;
/** What keeps `weights` from being some, for people; null: nothing. */
export function weightsFault(weights: Weights): string | null {
  const names = new Set(weights.map(({ release }) => release));
  if (names.size < weights.length) return "a release is named twice";
  const sum = weights.reduce((total, { weight }) => total + weight, 0);
  return sum === WEIGHTS_SUM ? null : `the weights sum to ${sum}, not to ${WEIGHTS_SUM}`;
}

/** "v1=90 v2=10", the oldest release first. */
export function describeWeights(weights: Weights): string {
  const sorted = [...weights].sort((left, right) => left.release - right.release);
  return sorted.map(({ release, weight }) => `v${release}=${weight}`).join(" ");
}

export function weightOf(weights: Weights, release: number): number {
  return weights.find((named) => named.release === release)?.weight ?? 0;
}

/** The same split, in whatever order it is written. */
export function isSameWeights(left: Weights | undefined, right: Weights | undefined): boolean {
  if (left === undefined || right === undefined) return left === right;
  return describeWeights(left) === describeWeights(right);
}
