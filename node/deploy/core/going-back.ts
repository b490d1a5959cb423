// Going back: whether a commit that a person asked for takes requests away from a newer release. Sticky clients are told by a count in
// the record: what they saw before binds nobody then.

import { type AppRecord, weightOf } from "../../../mesh/index.ts";
import { sharesOf } from "./shares.ts";

/** `after`, with one going back more counted if some client of `before` would be sent to an older release by it. */
export function withBackCounted(before: AppRecord, after: AppRecord): AppRecord {
  return isBack(before, after) ? { ...after, backs: (before.backs ?? 0) + 1 } : after;
}

/** Of some release and all newer ones the sum is less than it was. */
function isBack(before: AppRecord, after: AppRecord): boolean {
  const [had, has] = [sharesOf(before), sharesOf(after)];
  const releases = [...new Set([...had, ...has].map(({ release }) => release))].sort((a, b) => b - a);
  let [sumBefore, sumAfter] = [0, 0];
  return releases.some((release) => {
    sumBefore += weightOf(had, release);
    sumAfter += weightOf(has, release);
    return sumAfter < sumBefore;
  });
}
