// Stories: the rollouts of one app, those of before from the history, the last from its view, which knows of the step in force.

import type { MemberName } from "../../mesh/index.ts";
import type { AppView } from "./app-view.ts";
import { storyOf } from "./core/story.ts";
import type { RolloutHistory } from "./rollout-history.ts";
import type { StoriesView } from "./story-view.ts";

export async function storiesOf(
  view: AppView | null,
  history: Pick<RolloutHistory, "of">,
  answeredBy: MemberName,
): Promise<StoriesView | null> {
  if (view === null) return null;
  const kept = await history.of(view.app);
  const { app, rollout } = view;
  const last = kept.find((one) => one.rollout.id === rollout?.id);
  const before = kept.filter((one) => one !== last);
  const told = before.map(({ strategy, rollout: one }) => storyOf(app, { ...one, strategy, step: null }));
  // What the record has no room for any more is in the history.
  const steps = last?.rollout.history ?? rollout?.history ?? [];
  const now = rollout === null ? [] : [storyOf(app, { ...rollout, history: steps })];
  return { app, answeredBy, rollouts: [...told, ...now] };
}
