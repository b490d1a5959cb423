// Story answers: what an agent's plan of a deploy, and its story of one, must look like before a command believes it.

import { type ZodType, z } from "zod";
import type { PlanView } from "../deploy/plan-view.ts";
import type { RolloutStory, StoriesView } from "../deploy/story-view.ts";

const askLoose = z.looseObject({ kind: z.string(), who: z.string(), what: z.string() });

const weightsLoose = z.array(z.looseObject({ release: z.number(), weight: z.number() }));

const sparedLoose = z.looseObject({ proxy: z.string(), why: z.enum(["person", "silence", "unheard"]) });

export const planViewShape: ZodType<PlanView> = z.looseObject({
  app: z.string(),
  rollout: z.string(),
  strategy: z.string(),
  from: z.string().nullable(),
  to: z.string(),
  epoch: z.number(),
  joined: z.boolean(),
  steps: z.array(
    z.looseObject({
      number: z.number(),
      kind: z.string(),
      vms: z.array(z.string()),
      serves: z.array(z.string()),
      weights: weightsLoose.nullable(),
      hosts: z.array(z.string()),
      asks: z.array(askLoose),
      quorum: z.number(),
      spared: z.array(sparedLoose),
    }),
  ),
  end: z.string(),
  waitTimeoutMs: z.number(),
  costs: z.array(z.looseObject({ code: z.string(), steps: z.array(z.number()), what: z.string() })),
  stuck: z.string().nullable(),
}) as unknown as ZodType<PlanView>;

export const rolloutStoryShape: ZodType<RolloutStory> = z.looseObject({
  app: z.string(),
  rollout: z.string(),
  kind: z.string(),
  strategy: z.string().nullable(),
  from: z.string().nullable(),
  to: z.string().nullable(),
  leaves: z.string().optional(),
  state: z.string(),
  direction: z.string(),
  driver: z.string(),
  startedAtMs: z.number(),
  endedAtMs: z.number().nullable(),
  // An agent of before does not say.
  count: z.looseObject({ before: z.number(), after: z.number() }).nullable().default(null),
  superseded: z.looseObject({ rollout: z.string(), state: z.string() }).nullable().default(null),
  next: z.string().nullable().default(null),
  reason: z.looseObject({ code: z.string(), message: z.string(), lastLines: z.array(z.string()) }).nullable(),
  except: z.array(z.string()),
  dropped: z.number(),
  steps: z.array(
    z.looseObject({
      number: z.number(),
      kind: z.string(),
      vms: z.array(z.string()),
      serves: z.array(z.string()),
      weights: weightsLoose.nullable(),
      back: z.boolean(),
      running: z.boolean(),
      afterMs: z.number().nullable(),
      waitedMs: z.number(),
      epoch: z.number().nullable(),
      asked: z.array(askLoose.extend({ ms: z.number().nullable() })).nullable(),
      askedMore: z.number(),
      quorum: z.number().nullable(),
      spared: z.array(sparedLoose),
      fenced: z.array(z.string()),
      forced: z.array(z.string()).default([]),
      outcome: z.string(),
      decided: z.string().nullable(),
    }),
  ),
}) as unknown as ZodType<RolloutStory>;

export const storiesViewShape: ZodType<StoriesView> = z.looseObject({
  app: z.string(),
  answeredBy: z.string(),
  rollouts: z.array(rolloutStoryShape),
}) as unknown as ZodType<StoriesView>;
