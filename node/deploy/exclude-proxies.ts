// Exclude proxies: a person's word that rollouts do not ask a proxy, or do again, put into the record of one app or of all.

import { type AppName, type AppRecord, EXCLUSIONS_MAX, type MemberName } from "../../mesh/index.ts";
import { changeRecords, type RecordsDeps, type RecordsResult } from "./change-records.ts";
import { fitted } from "./core/commits.ts";
import { withExcluded, withIncluded } from "./core/exclusions.ts";

export interface ExclusionRequest {
  readonly proxy: MemberName;
  readonly verb: "exclude" | "include";
  /** null: every app, and those that are deployed for the first time later. */
  readonly app: AppName | null;
}

export async function excludeProxy(deps: RecordsDeps, request: ExclusionRequest): Promise<RecordsResult> {
  const result = await changeRecords(deps, {
    isMeant: ({ app }) => request.app === null || app === request.app,
    changed: (record) => changed(record, request, deps.wallMs()),
  });
  const isNothing = result.code === "done" && result.apps.length === 0;
  return isNothing ? { code: "invalid", message: nothingMeant(request) } : result;
}

function nothingMeant({ app }: ExclusionRequest): string {
  return app === null
    ? "no app is deployed yet: there is no rollout that could ask a proxy"
    : `there is no app ${app}; \`grapevine status\` lists those there are`;
}

function changed(record: AppRecord, { proxy, verb, app }: ExclusionRequest, atMs: number): AppRecord {
  if (verb === "include") return withIncluded(record, proxy);
  const next = withExcluded(record, [proxy], { by: "person", everywhere: app === null, atMs });
  if (next !== record) return fitted(next);
  if (record.excluded?.some((held) => held.proxy === proxy && held.by === "person") === true) return record;
  throw new Error(`${record.app} excludes ${EXCLUSIONS_MAX} proxies already: include those that are back`);
}
