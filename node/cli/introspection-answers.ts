// Introspection answers: what an agent's JSON about the cluster must look like before a command believes it. Further keys
// pass: a newer agent may say more.

import { type ZodType, z } from "zod";
import type { DiffView } from "../introspection/diff-view.ts";
import type { SyncView } from "../introspection/sync-view.ts";
import type { WhyView } from "../introspection/why-view.ts";

const versionLoose = z.looseObject({ text: z.string(), counter: z.number() });
const proxyLoose = z.looseObject({ serving: z.boolean(), stale: z.boolean(), serial: z.number() });
const judgedKeys = {
  name: z.string(),
  role: z.string(),
  state: z.string(),
  forSeconds: z.number(),
  why: z.string(),
  reason: z.string().nullable(),
};

// Names are branded and states closed lists in ours; an agent's word for either is only ever printed here.
export const syncViewShape: ZodType<SyncView> = z.looseObject({
  askedBy: z.string(),
  synced: z.boolean(),
  members: z.array(
    z.looseObject({
      ...judgedKeys,
      synced: z.boolean().nullable(),
      behind: z.array(
        z.looseObject({
          owner: z.string(),
          name: z.string().nullable(),
          writes: z.number(),
          held: versionLoose.nullable(),
        }),
      ),
      mismatched: z.array(z.looseObject({ owner: z.string(), name: z.string().nullable() })),
      entries: z.number().nullable(),
      stale: z.array(z.string()),
      lagMs: z.number().nullable(),
      uptimeMs: z.number().nullable(),
      proxy: proxyLoose.nullable(),
    }),
  ),
}) as unknown as ZodType<SyncView>;

const sideLoose = z
  .looseObject({
    version: versionLoose,
    deleted: z.boolean(),
    bytes: z.number(),
    value: z.string().nullable(),
  })
  .nullable();

export const diffViewShape: ZodType<DiffView> = z.looseObject({
  a: z.string(),
  b: z.string(),
  equal: z.boolean(),
  owners: z.number(),
  count: z.number(),
  truncated: z.boolean(),
  differences: z.array(
    z.looseObject({
      key: z.string(),
      owner: z.string(),
      name: z.string().nullable(),
      a: sideLoose,
      b: sideLoose,
      newer: z.enum(["a", "b"]).nullable(),
    }),
  ),
}) as unknown as ZodType<DiffView>;

export const whyViewShape: ZodType<WhyView> = z.looseObject({
  vm: z.string(),
  app: z.string().nullable(),
  commits: z.array(
    z.looseObject({
      epoch: z.number(),
      by: z.string().nullable(),
      version: versionLoose,
      inForce: z.boolean(),
    }),
  ),
  record: z
    .looseObject({
      epoch: z.number(),
      deleted: z.boolean(),
      wanted: z.looseObject({ host: z.string(), phase: z.string(), release: z.number() }).nullable(),
      rollout: z
        .looseObject({ id: z.string(), state: z.string(), driver: z.string(), step: z.string().nullable() })
        .nullable(),
    })
    .nullable(),
  said: z.array(
    z.looseObject({
      by: z.string().nullable(),
      owner: z.string(),
      version: versionLoose.extend({ incarnation: z.number() }),
      believed: z.boolean(),
      deleted: z.boolean(),
      problem: z.string().nullable(),
      entry: z
        .looseObject({
          state: z.string(),
          health: z.string(),
          address: z.looseObject({ host: z.string(), port: z.number() }).nullable(),
          reason: z.string().nullable(),
          restarts: z.number(),
          startedAtMs: z.number().nullable(),
          healthyAtMs: z.number().nullable(),
        })
        .nullable(),
    }),
  ),
  members: z.array(
    z.looseObject({
      ...judgedKeys,
      holds: z.array(
        z.looseObject({
          key: z.string(),
          by: z.string().nullable(),
          owner: z.string(),
          version: versionLoose.nullable(),
          current: z.boolean(),
          deleted: z.boolean(),
          path: z.string().nullable(),
          from: z.string().nullable(),
          agoMs: z.number().nullable(),
        }),
      ),
      proxy: proxyLoose.nullable(),
      routing: z.looseObject({ isRouted: z.boolean(), epoch: z.number(), why: z.string() }).nullable(),
    }),
  ),
  conclusions: z.array(z.string()),
}) as unknown as ZodType<WhyView>;
