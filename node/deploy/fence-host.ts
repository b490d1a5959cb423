// Fence host: a person's word that a host is off, put into the record of each app that has something there, so that every driver goes by it.

import { type AppName, type AppRecord, FENCES_MAX, type MemberName, type Start } from "../../mesh/index.ts";
import { changeRecords, type RecordsDeps, type RecordsResult } from "./change-records.ts";
import { fitted } from "./core/commits.ts";
import { withFenced } from "./core/fences.ts";

export interface FenceRequest {
  readonly host: MemberName;
  /** The one that was lost: a later one is not meant. */
  readonly start: Start;
}

/** `running`: apps of which that host said last that it runs something. No app has anything there: done, of none. */
export function fenceHost(
  deps: RecordsDeps,
  request: FenceRequest,
  running: ReadonlySet<AppName>,
): Promise<RecordsResult> {
  return changeRecords(deps, {
    isMeant: (record) => running.has(record.app) || isNamed(record, request.host),
    changed: (record) => fenced(record, request, deps.wallMs()),
  });
}

/** Of a step that stops VMs the record names those no longer. */
function isNamed({ vms, rollout }: AppRecord, host: MemberName): boolean {
  return vms.some((vm) => vm.host === host) || rollout?.step?.hosts?.includes(host) === true;
}

function fenced(record: AppRecord, request: FenceRequest, atMs: number): AppRecord {
  const next = withFenced(record, { ...request, atMs });
  if (next === null) throw new Error(`${record.app} has ${FENCES_MAX} hosts fenced already`);
  return next === record ? record : fitted(next);
}
