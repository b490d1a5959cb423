// Answers: what an agent's JSON must look like before a command believes it. Further keys pass: a newer agent may say more.

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
import { type Shape, s } from "./shape.ts";

const waitingShape = s.object({
  who: s.string(),
  what: s.string(),
  forMs: s.number(),
  silentMs: s.number().optional(),
});

const vmViewLoose = s.object({
  vm: s.string(),
  app: s.string(),
  release: s.number(),
  host: s.string(),
  phase: s.string().nullable(),
  state: s.string().nullable(),
  health: s.string().nullable(),
  address: s.string().nullable(),
  reason: s.string().nullable(),
  restarts: s.number(),
});

const stepViewLoose = s.object({
  number: s.number(),
  kind: s.string(),
  vms: s.array(s.string()),
  serves: s.array(s.string()).optional(),
  weights: s.array(s.object({ release: s.number(), weight: s.number() })).optional(),
  forMs: s.number(),
  acks: s
    .object({
      have: s.number(),
      need: s.number(),
      quorum: s.number().optional(),
      slowest: s.object({ proxy: s.string(), ms: s.number() }).nullable(),
    })
    .nullable(),
  waitingFor: s.array(waitingShape),
  answers: s.object({ epoch: s.number().optional() }).optional(),
});

const rolloutViewLoose = s.object({
  id: s.string(),
  kind: s.enum(ROLLOUT_KINDS),
  next: s.number().optional(),
  superseded: s.object({ id: s.string(), state: s.enum(ROLLOUT_STATES) }).optional(),
  count: s.number().optional(),
  before: s.number().optional(),
  from: s.number().nullable(),
  to: s.number().nullable(),
  state: s.enum(ROLLOUT_STATES),
  direction: s.enum(["forward", "back"]),
  driver: s.string(),
  step: stepViewLoose.nullable(),
  history: s.array(
    s.object({
      number: s.number(),
      kind: s.string(),
      vms: s.array(s.string()),
      weights: s.array(s.object({ release: s.number(), weight: s.number() })).optional(),
      waitedMs: s.number(),
      outcome: s.string(),
      fenced: s.array(s.object({ host: s.string(), atMs: s.number() })).optional(),
    }),
  ),
  reason: s.object({ code: s.string(), message: s.string(), lastLines: s.array(s.string()) }).nullable(),
  startedAtMs: s.number(),
  endedAtMs: s.number().nullable(),
  stalled: s.string().nullish(),
  pause: s.object({ why: s.string(), atMs: s.number() }).optional(),
  except: s.array(s.string()).optional(),
  leaves: s.string().optional(),
});

// Names are branded and kinds are closed lists in ours; an agent's word for either is only ever printed here.
export const appViewShape: Shape<AppView> = s.object({
  app: s.string(),
  epoch: s.number(),
  deleted: s.boolean(),
  release: s.string().nullable(),
  weights: s.record(s.number()),
  byWeight: s.boolean().optional(),
  hostnames: s.array(s.string()),
  previews: s.array(s.string()).optional(),
  rollout: rolloutViewLoose.nullable(),
  vms: s.array(vmViewLoose),
  proxies: s.array(
    s.object({
      proxy: s.string(),
      applied: s.number(),
      verified: s.number(),
      inFlight: s.number(),
      nack: s.string().nullable(),
      current: s.boolean(),
    }),
  ),
  leftovers: s.array(waitingShape),
  excluded: s.array(s.object({ proxy: s.string(), by: s.string() })).optional(),
  fenced: s.array(s.object({ host: s.string(), atMs: s.number(), forMs: s.number() })).optional(),
  held: s.object({ by: s.enum(HOLDERS), atMs: s.number(), forMs: s.number() }).nullish(),
  idle: s.object({ afterMs: s.number(), awake: s.string().nullable() }).nullish(),
  kept: s.object({ release: s.string(), vms: s.array(s.string()), forMs: s.number() }).nullish(),
}) as unknown as Shape<AppView>;

export const appViewsShape: Shape<AppView[]> = s.array(appViewShape);

export const vmViewsShape: Shape<VmView[]> = s.array(vmViewLoose) as unknown as Shape<VmView[]>;

export const memberRowsShape: Shape<MemberRow[]> = s.array(
  s.object({
    // It becomes a path, of the API and of a file.
    name: s.string().that(isName, "a name"),
    role: s.enum(["host", "proxy"]),
    api: s.string().nullable(),
    http: s.string().nullable(),
    pid: s.number().nullable(),
    state: s.enum(["alive", "suspect", "dead", "left"]),
    forSeconds: s.number(),
    why: s.string(),
    connected: s.boolean(),
    region: s.string().nullable(),
    voter: s.boolean(),
    cordoned: s.boolean().default(false),
    draining: s.boolean().default(false),
    incarnation: s.number(),
    addresses: s.array(s.string()).default([]),
  }),
) as unknown as Shape<MemberRow[]>;

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

const routesViewShape: Shape<RoutesView> = s.object({
  routes: s.array(
    s.object({
      hostname: s.string(),
      app: s.string(),
      epoch: s.number(),
      endpoints: s.array(
        s.object({
          vm: s.string(),
          release: s.number(),
          host: s.string(),
          address: s.string(),
          healthy: s.boolean(),
          hostAway: s.boolean().optional(),
        }),
      ),
    }),
  ),
  draining: s.array(s.object({ vm: s.string(), requests: s.number() })),
});

export type ProxyTable = Pick<ProxyRoutes, "proxy" | "reason"> & { readonly routes: RoutesView | null };

export const proxyTablesShape: Shape<ProxyTable[]> = s.array(
  s.object({ proxy: s.string(), reason: s.string().nullable(), routes: routesViewShape.nullable() }),
) as unknown as Shape<ProxyTable[]>;

export const submittedShape: Shape<Submitted> = s.object({
  app: s.string(),
  rollout: s.string(),
  release: s.number().nullable(),
  joined: s.boolean(),
  step: s.number().optional(),
  note: s.string().optional(),
  supersedes: s.string().optional(),
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

const versionLoose = s.object({ incarnation: s.number(), startId: s.number(), counter: s.number() });

const appliedLoose = {
  acks: s.array(s.object({ name: s.string(), role: s.string(), ms: s.number() })),
  missing: s.array(s.object({ name: s.string(), role: s.string(), why: s.string() })),
};

export const hostForgottenShape: Shape<HostForgottenView> = s.object({
  host: s.string(),
  forgotten: s.enum(["now", "before"]),
  vms: s.array(s.object({ vm: s.string(), app: s.string() })),
  silent: s.array(s.string()),
  ...appliedLoose,
}) as unknown as Shape<HostForgottenView>;

export const hostCordonShape: Shape<HostCordonView> = s.object({
  host: s.string(),
  cordoned: s.boolean(),
  draining: s.boolean().default(false),
}) as unknown as Shape<HostCordonView>;

export const hostFencedShape: Shape<HostFencedView> = s.object({
  host: s.string(),
  apps: s.array(s.string()),
  vms: s.array(s.object({ vm: s.string(), app: s.string() })),
  silent: s.array(s.string()),
}) as unknown as Shape<HostFencedView>;

export const proxyExclusionShape: Shape<ProxyExclusionView> = s.object({
  proxy: s.string(),
  excluded: s.boolean(),
  apps: s.array(s.string()),
}) as unknown as Shape<ProxyExclusionView>;

export const holdViewShape: Shape<HoldView> = s.object({
  app: s.string(),
  held: s.boolean(),
  by: s.enum(HOLDERS).nullable(),
  epoch: s.number(),
  changed: s.boolean(),
  bounds: s.object({ maxAgeMs: s.number(), maxRequests: s.number(), maxBytes: s.number() }),
}) as unknown as Shape<HoldView>;

export const votersShape: Shape<VotersView> = s.object({
  list: s.number().nullable(),
  settled: s.boolean(),
  restoring: s.boolean(),
  voters: s.array(s.object({ id: s.string(), name: s.string(), connected: s.boolean(), state: s.string() })),
}) as unknown as Shape<VotersView>;

export const voterPlanShape: Shape<VoterPlanView> = s.object({
  cluster: s.string(),
  number: s.number(),
  list: s.string(),
});

const appEpochs = s.array(s.object({ app: s.string(), epoch: s.number() }));

export const restoredShape: Shape<RestoredView> = s.object({
  apps: appEpochs,
  names: s.array(s.string()),
});

export const collectedShape: Shape<CollectedView> = s.object({
  apps: appEpochs,
  asked: s.array(s.string()),
  silent: s.array(s.object({ name: s.string(), reason: s.string() })),
}) as unknown as Shape<CollectedView>;

export const registersBackupShape: Shape<RegistersBackup> = s.object({
  format: s.literal(1),
  cluster: s.string(),
  lists: s.array(s.string()),
  records: s.array(s.string()),
});

/** What `PUT` and `DELETE` of an entry answer. */
export const entryWriteShape: Shape<EntryWriteView> = s.object({
  key: s.string(),
  owner: s.string(),
  version: versionLoose,
  wait: s.literal("applied").nullable(),
  ...appliedLoose,
}) as unknown as Shape<EntryWriteView>;

/** An entry of some member, in the list. */
export interface EntryRow {
  readonly key: string;
  /** Of the member that wrote it; null: not known here, as long as its member entry is not. */
  readonly name: string | null;
  readonly version: { readonly incarnation: number; readonly startId: number; readonly counter: number };
  readonly bytes: number;
}

export const entryRowsShape: Shape<EntryRow[]> = s.array(
  s.object({
    key: s.string(),
    name: s.string().nullable(),
    version: versionLoose,
    bytes: s.number(),
  }),
);
