// Story answers: what an agent's plan of a deploy, and its story of one, must look like before a command believes it.

import type { PlanView } from "../deploy/plan-view.ts";
import type { RolloutStory, StoriesView } from "../deploy/story-view.ts";
import { type Shape, s } from "./shape.ts";

const askLoose = s.object({ kind: s.string(), who: s.string(), what: s.string() });

const weightsLoose = s.array(s.object({ release: s.number(), weight: s.number() }));

const sparedLoose = s.object({ proxy: s.string(), why: s.enum(["person", "silence", "unheard"]) });

export const planViewShape: Shape<PlanView> = s.object({
  app: s.string(),
  rollout: s.string(),
  strategy: s.string(),
  from: s.string().nullable(),
  to: s.string(),
  epoch: s.number(),
  joined: s.boolean(),
  steps: s.array(
    s.object({
      number: s.number(),
      kind: s.string(),
      vms: s.array(s.string()),
      serves: s.array(s.string()),
      weights: weightsLoose.nullable(),
      hosts: s.array(s.string()),
      asks: s.array(askLoose),
      quorum: s.number(),
      spared: s.array(sparedLoose),
    }),
  ),
  end: s.string(),
  waitTimeoutMs: s.number(),
  costs: s.array(s.object({ code: s.string(), steps: s.array(s.number()), what: s.string() })),
  stuck: s.string().nullable(),
}) as unknown as Shape<PlanView>;

export const rolloutStoryShape: Shape<RolloutStory> = s.object({
  app: s.string(),
  rollout: s.string(),
  kind: s.string(),
  strategy: s.string().nullable(),
  from: s.string().nullable(),
  to: s.string().nullable(),
  leaves: s.string().optional(),
  state: s.string(),
  direction: s.string(),
  driver: s.string(),
  startedAtMs: s.number(),
  endedAtMs: s.number().nullable(),
  // An agent of before does not say.
  count: s.object({ before: s.number(), after: s.number() }).nullable().default(null),
  superseded: s.object({ rollout: s.string(), state: s.string() }).nullable().default(null),
  next: s.string().nullable().default(null),
  reason: s.object({ code: s.string(), message: s.string(), lastLines: s.array(s.string()) }).nullable(),
  except: s.array(s.string()),
  dropped: s.number(),
  steps: s.array(
    s.object({
      number: s.number(),
      kind: s.string(),
      vms: s.array(s.string()),
      serves: s.array(s.string()),
      weights: weightsLoose.nullable(),
      back: s.boolean(),
      running: s.boolean(),
      afterMs: s.number().nullable(),
      waitedMs: s.number(),
      epoch: s.number().nullable(),
      asked: s.array(askLoose.extend({ ms: s.number().nullable() })).nullable(),
      askedMore: s.number(),
      quorum: s.number().nullable(),
      spared: s.array(sparedLoose),
      fenced: s.array(s.string()),
      forced: s.array(s.string()).default([]),
      outcome: s.string(),
      decided: s.string().nullable(),
    }),
  ),
}) as unknown as Shape<RolloutStory>;

export const storiesViewShape: Shape<StoriesView> = s.object({
  app: s.string(),
  answeredBy: s.string(),
  rollouts: s.array(rolloutStoryShape),
}) as unknown as Shape<StoriesView>;
