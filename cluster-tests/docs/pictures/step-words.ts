// Step words: a step of a story in the few words that a picture has room for: its name, and what it waited for.

import { formatDuration } from "../../../node/cli/table.ts";
import type { AskedView, RolloutStory, StepStory } from "../../../node/deploy/story-view.ts";

/** "3 weigh v1=90 v2=10". */
export function stepName({ number, kind, weights }: StepStory): string {
  const split =
    weights?.map(({ release, weight }) => `v${release}=${weight}`) ?? (kind === "weigh" ? ["alike"] : []);
  return [number, kind, ...split].join(" ");
}

/** Kept together where a line is broken. */
const SPACE = "\u00a0";

/** "proxy-1, proxy-2 to have it in force, and to have reached hello-v2-1: after 28 ms, 35 ms". Who was asked the same is named together. */
export function waits({ asked }: StepStory): readonly string[] {
  const groups = new Map<string, AskedView[]>();
  for (const one of asked ?? []) groups.set(one.what, [...(groups.get(one.what) ?? []), one]);
  return [...groups].map(([what, group]) => {
    const names = group.map(({ who }) => who).join(", ");
    const times = group.map(({ ms }) => (ms === null ? "not in time" : formatDuration(ms))).join(", ");
    return `${names} ${what}: ${`after ${times}`.replaceAll(" ", SPACE)}`;
  });
}

/** For those who cannot see the picture. */
export function describeSteps({ steps }: RolloutStory): string {
  return steps.map((step) => `Step ${stepName(step)}: waited for ${waits(step).join("; ")}.`).join(" ");
}
