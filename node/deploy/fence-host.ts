// Fence host: a person's word that a host is off, put into the record of each app that has something there, so that every driver goes by it.

import { type AppName, type AppRecord, FENCES_MAX, type MemberName, type Start } from "../../mesh/index.ts";
import { changeRecords, type RecordsDeps, type RecordsResult } from "./change-records.ts";
import { fitted } from "./core/commits.ts";
import { withFenced } from "./core/fences.ts";
import { isAlone } from "./core/handoff.ts";

export interface FenceRequest {
  readonly host: MemberName;
  /** The one that was lost: a later one is not meant. */
  readonly start: Start;
  /** Nobody knows that it is off: of apps alone that never run twice, which wait for its word. */
  readonly isUnsafe?: boolean;
}

/** `running`: apps of which that host said last that it runs something. No app has anything there: done, of none. */
export function fenceHost(
  deps: RecordsDeps,
  request: FenceRequest,
  running: ReadonlySet<AppName>,
): Promise<RecordsResult> {
  return changeRecords(deps, {
    isMeant: (record) =>
      (running.has(record.app) || isNamed(record, request.host)) &&
      (request.isUnsafe !== true || isAlone(record)),
    changed: (record) => fenced(record, request, deps.wallMs()),
  });
}

/** Of a step that stops VMs the record names those no longer. */
function isNamed({ vms, rollout, mayRun = [] }: AppRecord, host: MemberName): boolean {
  return (
    [...vms, ...mayRun].some((one) => one.host === host) || rollout?.step?.hosts?.includes(host) === true
  );
}

function fenced(record: AppRecord, { host, start, isUnsafe }: FenceRequest, atMs: number): AppRecord {
  const next = withFenced(record, { host, start, atMs, ...(isUnsafe === true ? { unsafe: true } : {}) });
  if (next === null) throw new Error(`${record.app} has ${FENCES_MAX} hosts fenced already`);
  return next === record ? record : fitted(next);
}
