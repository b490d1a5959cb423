// Answers: what an agent's JSON must look like before a command believes it. Further keys pass: a newer agent may say more.

import { type ZodType, z } from "zod";
import type { RegistersBackup } from "../../mesh/index.ts";
import { HOLDERS, isName, ROLLOUT_KINDS, ROLLOUT_STATES } from "../../mesh/words.ts";
import type { EntryWriteView } from "../api/entries.ts";
import type { HoldView } from "../api/hold-routes.ts";
import type { HostCordonView } from "../api/host-cordon.ts";
import type { HostFencedView } from "../api/host-fence.ts";
import type { HostForgottenView } from "../api/hosts.ts";
import type { ProxyExclusionView } from "../api/proxies.ts";
import type { ProxyRoutes } from "../api/routes.ts";
import type { MemberRow } from "../api/views.ts";
import type { CollectedView, RestoredView, VoterPlanView, VotersView } from "../api/voters.ts";
import type { AppView, VmView } from "../deploy/app-view.ts";

const waitingShape = z.looseObject({
  who: z.string(),
  what: z.string(),
  forMs: z.number(),
  silentMs: z.number().optional(),
});

const vmViewLoose = z.looseObject({
  vm: z.string(),
  app: z.string(),
  release: z.number(),
  host: z.string(),
  phase: z.string().nullable(),
  state: z.string().nullable(),
  health: z.string().nullable(),
  address: z.string().nullable(),
  reason: z.string().nullable(),
  restarts: z.number(),
});

const stepViewLoose = z.looseObject({
  number: z.number(),
  kind: z.string(),
  vms: z.array(z.string()),
  serves: z.array(z.string()).optional(),
  weights: z.array(z.looseObject({ release: z.number(), weight: z.number() })).optional(),
  forMs: z.number(),
  acks: z
    .looseObject({
      have: z.number(),
      need: z.number(),
      quorum: z.number().optional(),
      slowest: z.looseObject({ proxy: z.string(), ms: z.number() }).nullable(),
    })
    .nullable(),
  waitingFor: z.array(waitingShape),
  answers: z.looseObject({ epoch: z.number().optional() }).optional(),
});

const rolloutViewLoose = z.looseObject({
  id: z.string(),
  kind: z.enum(ROLLOUT_KINDS),
  next: z.number().optional(),
  superseded: z.looseObject({ id: z.string(), state: z.enum(ROLLOUT_STATES) }).optional(),
  count: z.number().optional(),
  before: z.number().optional(),
  from: z.number().nullable(),
  to: z.number().nullable(),
  state: z.enum(ROLLOUT_STATES),
  direction: z.enum(["forward", "back"]),
  driver: z.string(),
  step: stepViewLoose.nullable(),
  history: z.array(
    z.looseObject({
      number: z.number(),
      kind: z.string(),
      vms: z.array(z.string()),
      weights: z.array(z.looseObject({ release: z.number(), weight: z.number() })).optional(),
      waitedMs: z.number(),
      outcome: z.string(),
      fenced: z.array(z.looseObject({ host: z.string(), atMs: z.number() })).optional(),
    }),
  ),
  reason: z.looseObject({ code: z.string(), message: z.string(), lastLines: z.array(z.string()) }).nullable(),
  startedAtMs: z.number(),
  endedAtMs: z.number().nullable(),
  stalled: z.string().nullish(),
  pause: z.looseObject({ why: z.string(), atMs: z.number() }).optional(),
  except: z.array(z.string()).optional(),
  leaves: z.string().optional(),
});

// Names are branded and kinds are closed lists in ours; an agent's word for either is only ever printed here.
export const appViewShape: ZodType<AppView> = z.looseObject({
  app: z.string(),
  epoch: z.number(),
  deleted: z.boolean(),
  release: z.string().nullable(),
  weights: z.record(z.string(), z.number()),
  byWeight: z.boolean().optional(),
  hostnames: z.array(z.string()),
  previews: z.array(z.string()).optional(),
  rollout: rolloutViewLoose.nullable(),
  vms: z.array(vmViewLoose),
  proxies: z.array(
    z.looseObject({
      proxy: z.string(),
      applied: z.number(),
      verified: z.number(),
      inFlight: z.number(),
      nack: z.string().nullable(),
      current: z.boolean(),
    }),
  ),
  leftovers: z.array(waitingShape.extend({ wasKept: z.boolean().optional() })),
  excluded: z.array(z.looseObject({ proxy: z.string(), by: z.string() })).optional(),
  fenced: z.array(z.looseObject({ host: z.string(), atMs: z.number(), forMs: z.number() })).optional(),
  held: z.looseObject({ by: z.enum(HOLDERS), atMs: z.number(), forMs: z.number() }).nullish(),
  idle: z.looseObject({ afterMs: z.number(), awake: z.string().nullable() }).nullish(),
  kept: z.looseObject({ release: z.string(), vms: z.array(z.string()), forMs: z.number() }).nullish(),
}) as unknown as ZodType<AppView>;

export const appViewsShape: ZodType<AppView[]> = z.array(appViewShape);

export const vmViewsShape: ZodType<VmView[]> = z.array(vmViewLoose) as unknown as ZodType<VmView[]>;

export const memberRowsShape: ZodType<MemberRow[]> = z.array(
  z.looseObject({
    // It becomes a path, of the API and of a file.
    name: z.string().refine(isName),
    role: z.enum(["host", "proxy"]),
    api: z.string().nullable(),
    http: z.string().nullable(),
    pid: z.number().nullable(),
    state: z.enum(["alive", "suspect", "dead", "left"]),
    forSeconds: z.number(),
    why: z.string(),
    connected: z.boolean(),
    region: z.string().nullable(),
    voter: z.boolean(),
    cordoned: z.boolean().default(false),
    draining: z.boolean().default(false),
    incarnation: z.number(),
    addresses: z.array(z.string()).default([]),
  }),
) as unknown as ZodType<MemberRow[]>;

/** A proxy's route table in force, as its admin API shows it. */
export interface RoutesView {
  readonly routes: readonly {
    readonly hostname: string;
    readonly app: string;
    readonly epoch: number;
    readonly endpoints: readonly {
      readonly vm: string;
      readonly release: number;
      readonly host: string;
      readonly address: string;
      readonly healthy: boolean;
      readonly hostAway?: boolean | undefined;
    }[];
  }[];
  /** VMs that left the table with requests still in flight. */
  readonly draining: readonly { readonly vm: string; readonly requests: number }[];
}

const routesViewShape: ZodType<RoutesView> = z.looseObject({
  routes: z.array(
    z.looseObject({
      hostname: z.string(),
      app: z.string(),
      epoch: z.number(),
      endpoints: z.array(
        z.looseObject({
          vm: z.string(),
          release: z.number(),
          host: z.string(),
          address: z.string(),
          healthy: z.boolean(),
          hostAway: z.boolean().optional(),
        }),
      ),
    }),
  ),
  draining: z.array(z.looseObject({ vm: z.string(), requests: z.number() })),
});

export type ProxyTable = Pick<ProxyRoutes, "proxy" | "reason"> & { readonly routes: RoutesView | null };

export const proxyTablesShape: ZodType<ProxyTable[]> = z.array(
  z.looseObject({ proxy: z.string(), reason: z.string().nullable(), routes: routesViewShape.nullable() }),
) as unknown as ZodType<ProxyTable[]>;

export const submittedShape: ZodType<Submitted> = z.looseObject({
  app: z.string(),
  rollout: z.string(),
  release: z.number().nullable(),
  joined: z.boolean(),
  step: z.number().optional(),
  note: z.string().optional(),
  supersedes: z.string().optional(),
});

/** A rollout that runs. */
export interface Submitted {
  readonly app: string;
  readonly rollout: string;
  readonly release: number | null;
  /** The same spec was on its way already: this is that rollout. */
  readonly joined: boolean;
  /** The rollout that comes to its end first. */
  readonly supersedes?: string | undefined;
  /** What was asked for is over when this step is; absent: when the rollout is. */
  readonly step?: number | undefined;
  /** What was made of it, for people. */
  readonly note?: string | undefined;
}

const versionLoose = z.looseObject({ incarnation: z.number(), startId: z.number(), counter: z.number() });

const appliedLoose = {
  acks: z.array(z.looseObject({ name: z.string(), role: z.string(), ms: z.number() })),
  missing: z.array(z.looseObject({ name: z.string(), role: z.string(), why: z.string() })),
};

export const hostForgottenShape: ZodType<HostForgottenView> = z.looseObject({
  host: z.string(),
  forgotten: z.enum(["now", "before"]),
  vms: z.array(z.looseObject({ vm: z.string(), app: z.string() })),
  silent: z.array(z.string()),
  ...appliedLoose,
}) as unknown as ZodType<HostForgottenView>;

export const hostCordonShape: ZodType<HostCordonView> = z.looseObject({
  host: z.string(),
  cordoned: z.boolean(),
  draining: z.boolean().default(false),
}) as unknown as ZodType<HostCordonView>;

export const hostFencedShape: ZodType<HostFencedView> = z.looseObject({
  host: z.string(),
  apps: z.array(z.string()),
  vms: z.array(z.looseObject({ vm: z.string(), app: z.string() })),
  silent: z.array(z.string()),
}) as unknown as ZodType<HostFencedView>;

export const proxyExclusionShape: ZodType<ProxyExclusionView> = z.looseObject({
  proxy: z.string(),
  excluded: z.boolean(),
  apps: z.array(z.string()),
}) as unknown as ZodType<ProxyExclusionView>;

export const holdViewShape: ZodType<HoldView> = z.looseObject({
  app: z.string(),
  held: z.boolean(),
  by: z.enum(HOLDERS).nullable(),
  epoch: z.number(),
  changed: z.boolean(),
  bounds: z.looseObject({ maxAgeMs: z.number(), maxRequests: z.number(), maxBytes: z.number() }),
}) as unknown as ZodType<HoldView>;

export const votersShape: ZodType<VotersView> = z.looseObject({
  list: z.number().nullable(),
  settled: z.boolean(),
  restoring: z.boolean(),
  voters: z.array(
    z.looseObject({ id: z.string(), name: z.string(), connected: z.boolean(), state: z.string() }),
  ),
}) as unknown as ZodType<VotersView>;

export const voterPlanShape: ZodType<VoterPlanView> = z.looseObject({
  cluster: z.string(),
  number: z.number(),
  list: z.string(),
});

const appEpochs = z.array(z.looseObject({ app: z.string(), epoch: z.number() }));

export const restoredShape: ZodType<RestoredView> = z.looseObject({
  apps: appEpochs,
  names: z.array(z.string()),
});

export const collectedShape: ZodType<CollectedView> = z.looseObject({
  apps: appEpochs,
  asked: z.array(z.string()),
  silent: z.array(z.looseObject({ name: z.string(), reason: z.string() })),
}) as unknown as ZodType<CollectedView>;

export const registersBackupShape: ZodType<RegistersBackup> = z.looseObject({
  format: z.literal(1),
  cluster: z.string(),
  lists: z.array(z.string()),
  records: z.array(z.string()),
});

/** What `PUT` and `DELETE` of an entry answer. */
export const entryWriteShape: ZodType<EntryWriteView> = z.looseObject({
  key: z.string(),
  owner: z.string(),
  version: versionLoose,
  wait: z.literal("applied").nullable(),
  ...appliedLoose,
}) as unknown as ZodType<EntryWriteView>;

/** An entry of some member, in the list. */
export interface EntryRow {
  readonly key: string;
  /** Of the member that wrote it; null: not known here, as long as its member entry is not. */
  readonly name: string | null;
  readonly version: { readonly incarnation: number; readonly startId: number; readonly counter: number };
  readonly bytes: number;
}

export const entryRowsShape: ZodType<EntryRow[]> = z.array(
  z.looseObject({
    key: z.string(),
    name: z.string().nullable(),
    version: versionLoose,
    bytes: z.number(),
  }),
);
