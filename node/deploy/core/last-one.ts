// Last one: what an app that never runs twice is left with where its rollout comes to no end on the way back, and nothing of it is in the
// record: of what it took out nobody could say that it ended. Its host can, which starts nothing beside it: so one more VM of the release that
// the rollout goes back to is to serve there. Else nothing would ever run again of itself.

import type { AppRecord, DesiredVm } from "../../../mesh/index.ts";
import { nextVmName } from "./commits.ts";
import type { Facts } from "./facts.ts";
import { isAlone, runningBeside } from "./handoff.ts";

/** `before`: with all that was in it, of which nothing was started. The record itself if something is left in it, or if no single host could keep the order. */
export function withLastOne(
  record: AppRecord,
  before: AppRecord,
  { release, facts }: { readonly release: number | null; readonly facts: Facts },
): AppRecord {
  if (!isAlone(before) || release === null || record.vms.length > 0) return record;
  const [host, ...others] = new Set(runningBeside(before, { kind: "start" }, facts).map((vm) => vm.host));
  if (host === undefined || others.length > 0) return record;
  const vm: DesiredVm = {
    vm: nextVmName(record, release, 0),
    release,
    host,
    phase: "serving",
    requires: null,
  };
  const releases = record.releases.map((one) =>
    one.number === release ? { ...one, vmsNamed: one.vmsNamed + 1 } : one,
  );
  return { ...record, releases, vms: [vm] };
}
