// Introspection answers: what an agent's JSON about the cluster must look like before a command believes it. Further keys
// pass: a newer agent may say more.

import type { DiffView } from "../introspection/diff-view.ts";
import type { SyncView } from "../introspection/sync-view.ts";
import type { WhyView } from "../introspection/why-view.ts";
import { type Shape, s } from "./shape.ts";

const versionLoose = s.object({ text: s.string(), counter: s.number() });
const proxyLoose = s.object({ serving: s.boolean(), stale: s.boolean(), serial: s.number() });
const judgedKeys = {
  name: s.string(),
  role: s.string(),
  state: s.string(),
  forSeconds: s.number(),
  why: s.string(),
  reason: s.string().nullable(),
};

// Names are branded and states closed lists in ours; an agent's word for either is only ever printed here.
export const syncViewShape: Shape<SyncView> = s.object({
  askedBy: s.string(),
  synced: s.boolean(),
  members: s.array(
    s.object({
      ...judgedKeys,
      synced: s.boolean().nullable(),
      behind: s.array(
        s.object({
          owner: s.string(),
          name: s.string().nullable(),
          writes: s.number(),
          held: versionLoose.nullable(),
        }),
      ),
      mismatched: s.array(s.object({ owner: s.string(), name: s.string().nullable() })),
      entries: s.number().nullable(),
      stale: s.array(s.string()),
      lagMs: s.number().nullable(),
      uptimeMs: s.number().nullable(),
      proxy: proxyLoose.nullable(),
    }),
  ),
}) as unknown as Shape<SyncView>;

const sideLoose = s
  .object({
    version: versionLoose,
    deleted: s.boolean(),
    bytes: s.number(),
    value: s.string().nullable(),
  })
  .nullable();

export const diffViewShape: Shape<DiffView> = s.object({
  a: s.string(),
  b: s.string(),
  equal: s.boolean(),
  owners: s.number(),
  count: s.number(),
  truncated: s.boolean(),
  differences: s.array(
    s.object({
      key: s.string(),
      owner: s.string(),
      name: s.string().nullable(),
      a: sideLoose,
      b: sideLoose,
      newer: s.enum(["a", "b"]).nullable(),
    }),
  ),
}) as unknown as Shape<DiffView>;

export const whyViewShape: Shape<WhyView> = s.object({
  vm: s.string(),
  app: s.string().nullable(),
  commits: s.array(
    s.object({
      epoch: s.number(),
      by: s.string().nullable(),
      version: versionLoose,
      inForce: s.boolean(),
    }),
  ),
  record: s
    .object({
      epoch: s.number(),
      deleted: s.boolean(),
      wanted: s.object({ host: s.string(), phase: s.string(), release: s.number() }).nullable(),
      rollout: s
        .object({ id: s.string(), state: s.string(), driver: s.string(), step: s.string().nullable() })
        .nullable(),
    })
    .nullable(),
  said: s.array(
    s.object({
      by: s.string().nullable(),
      owner: s.string(),
      version: versionLoose.extend({ incarnation: s.number() }),
      believed: s.boolean(),
      deleted: s.boolean(),
      problem: s.string().nullable(),
      entry: s
        .object({
          state: s.string(),
          health: s.string(),
          address: s.object({ host: s.string(), port: s.number() }).nullable(),
          reason: s.string().nullable(),
          restarts: s.number(),
          startedAtMs: s.number().nullable(),
          healthyAtMs: s.number().nullable(),
        })
        .nullable(),
    }),
  ),
  members: s.array(
    s.object({
      ...judgedKeys,
      holds: s.array(
        s.object({
          key: s.string(),
          by: s.string().nullable(),
          owner: s.string(),
          version: versionLoose.nullable(),
          current: s.boolean(),
          deleted: s.boolean(),
          path: s.string().nullable(),
          from: s.string().nullable(),
          agoMs: s.number().nullable(),
        }),
      ),
      proxy: proxyLoose.nullable(),
      routing: s.object({ isRouted: s.boolean(), epoch: s.number(), why: s.string() }).nullable(),
    }),
  ),
  conclusions: s.array(s.string()),
}) as unknown as Shape<WhyView>;
