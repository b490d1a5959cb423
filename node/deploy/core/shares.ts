// Shares: what becomes of an app's weights when releases come and go, and which share of requests each release has. Pure.

import {
  type AppRecord,
  type DesiredVm,
  describeWeights,
  type ReleaseWeight,
  WEIGHTS_SUM,
  type Weights,
  weightOf,
} from "../../../mesh/index.ts";

/**
 * The record with weights that mean something: of releases with serving VMs, of two at least, summing to 100. What a release had that
 * left goes to the others as they share the rest. The record itself if there is nothing to mend.
 */
export function withSoundWeights(record: AppRecord): AppRecord {
  const { weights, ...rest } = record;
  if (weights === undefined) return record;
  const serving = servingReleases(record);
  const left = weights.filter(({ release }) => serving.includes(release));
  const sum = left.reduce((total, { weight }) => total + weight, 0);
  if (serving.length < 2 || sum === 0) return rest;
  return left.length === weights.length && sum === WEIGHTS_SUM ? record : { ...rest, weights: scaled(left) };
}

/** Percent by release, whole and summing to 100, the oldest first: by weight, or by the count of VMs. Empty: nothing serves. */
export function sharesOf(record: AppRecord): Weights {
  const sound = withSoundWeights(record).weights;
  const serving = record.vms.filter(({ phase }) => phase === "serving");
  const releases = servingReleases(record);
  if (sound !== undefined)
    return releases.map(
      (release) => sound.find((named) => named.release === release) ?? { release, weight: 0 },
    );
  const counts = releases.map((release) => ({
    release,
    weight: serving.filter((vm) => vm.release === release).length,
  }));
  return counts.length === 0 ? [] : scaled(counts);
}

/** More than one release gets requests: which of them a deploy would go back to nobody can say. */
export function splitFault(record: AppRecord): string | null {
  const shares = sharesOf(record).filter(({ weight }) => weight > 0);
  if (record.weights === undefined || shares.length < 2) return null;
  const { app } = record;
  const ends = shares.map(({ release }) => `"grapevine traffic set ${app} v${release}=100"`).join(" or ");
  return `requests of ${app} are split, ${describeWeights(shares)}: say first which of them it is, with ${ends}`;
}

function servingReleases({ vms }: AppRecord): readonly number[] {
  const serving = vms.filter(({ phase }) => phase === "serving").map(({ release }) => release);
  return [...new Set(serving)].sort((left, right) => left - right);
}

/**
 * `release` gets nothing from now on; what it had falls to the others. As before where they have nothing, or nothing of them is sound: then
 * each proxy sends it what they cannot take, which it would not at 0. And where no split is in force.
 */
export function withoutShareOf(
  release: number | null,
  record: AppRecord,
  isSound: (vm: DesiredVm) => boolean,
): AppRecord {
  const others = (record.weights ?? []).filter((one) => one.release !== release);
  const takes = (vm: DesiredVm) => vm.phase === "serving" && weightOf(others, vm.release) > 0 && isSound(vm);
  if (release === null || !record.vms.some(takes)) return record;
  return { ...record, weights: [...scaled(others), { release, weight: 0 }] };
}

/** To a sum of 100: what rounding leaves goes to the last of those that have any. */
function scaled(weights: Weights): Weights {
  const sum = weights.reduce((total, { weight }) => total + weight, 0);
  const floors = weights.map(({ release, weight }): ReleaseWeight => {
    return { release, weight: Math.floor((WEIGHTS_SUM * weight) / sum) };
  });
  const rest = WEIGHTS_SUM - floors.reduce((total, { weight }) => total + weight, 0);
  const last = weights.findLastIndex(({ weight }) => weight > 0);
  return floors.map((one, at) => (at === last ? { ...one, weight: one.weight + rest } : one));
}
