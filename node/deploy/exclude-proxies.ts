// Exclude proxies: a person's word that rollouts do not ask a proxy, or do again, put into the record of one app or of all.

import {
  type AppName,
  type AppRecord,
  type CommittedApp,
  EXCLUSIONS_MAX,
  type MemberName,
  messageOf,
  NoMajorityError,
  type Register,
} from "../../mesh/index.ts";
import { fitted } from "./core/commits.ts";
import { withExcluded, withIncluded } from "./core/exclusions.ts";

export interface ExclusionRequest {
  readonly proxy: MemberName;
  readonly verb: "exclude" | "include";
  /** null: every app, and those that are deployed for the first time later. */
  readonly app: AppName | null;
}

/** `unavailable`: said again it goes on; `apps` are done. `invalid`: `message` says what to do; nothing changed. */
export type ExclusionResult =
  | { readonly code: "done"; readonly apps: readonly AppName[] }
  | { readonly code: "invalid"; readonly message: string }
  | { readonly code: "unavailable"; readonly message: string; readonly apps: readonly AppName[] };

export interface ExclusionDeps {
  readonly register: Register;
  readonly learn: (committed: CommittedApp) => void;
  readonly wallMs: () => number;
}

/** Swaps for one app that may lose against the machine of its rollout before it is given up. */
const TRIES_MAX = 10;

export async function excludeProxy(deps: ExclusionDeps, request: ExclusionRequest): Promise<ExclusionResult> {
  const apps: AppName[] = [];
  try {
    await deps.register.readAll();
    const known = deps.register.known().filter(({ record }) => !record.deleted);
    const meant = known.filter(({ record }) => request.app === null || record.app === request.app);
    if (meant.length === 0) return { code: "invalid", message: nothingMeant(request) };
    for (const { record } of meant) {
      await excludeInOne(deps, record.app, request);
      apps.push(record.app);
    }
    return { code: "done", apps };
  } catch (error) {
    return { code: "unavailable", message: messageOf(error), apps };
  }
}

function nothingMeant({ app }: ExclusionRequest): string {
  return app === null
    ? "no app is deployed yet: there is no rollout that could ask a proxy"
    : `there is no app ${app}; \`grapevine status\` lists those there are`;
}

/** Idempotent: what stands so already is not committed again. */
async function excludeInOne(
  { register, learn, wallMs }: ExclusionDeps,
  app: AppName,
  request: ExclusionRequest,
): Promise<void> {
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const committed = await register.read(app);
    if (committed === null || committed.record.deleted) return;
    const next = changed(committed.record, request, wallMs());
    if (next === committed.record) return;
    const result = await register.swap(app, committed.epoch, next);
    if (result.code === "committed") {
      learn(result.committed);
      return;
    }
    if (result.code === "unavailable") throw new NoMajorityError(result.missing);
  }
  throw new Error(`the record of ${app} could not be changed: try again`);
}

function changed(record: AppRecord, { proxy, verb, app }: ExclusionRequest, atMs: number): AppRecord {
  if (verb === "include") return withIncluded(record, proxy);
  const next = withExcluded(record, [proxy], { by: "person", everywhere: app === null, atMs });
  if (next !== record) return fitted(next);
  if (record.excluded?.some((held) => held.proxy === proxy && held.by === "person") === true) return record;
  throw new Error(`${record.app} excludes ${EXCLUSIONS_MAX} proxies already: include those that are back`);
}
