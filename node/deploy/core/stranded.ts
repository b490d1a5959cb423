// Stranded: a VM of an app that never runs twice on a host that nobody hears: what it waits for, in words. No rollout says so, since none begins.

import type { AppRecord, DesiredVm } from "../../../mesh/index.ts";
import type { Facts } from "./facts.ts";
import { isFenced } from "./fences.ts";
import { isAlone } from "./handoff.ts";
import { hasLease } from "./may-run.ts";

/** Null: it is not. */
export function strandedText(
  record: AppRecord,
  facts: Facts,
  { host, release }: Pick<DesiredVm, "host" | "release">,
): string | null {
  const isDead = facts.hosts.get(host)?.deadSinceMs !== undefined;
  if (!isDead || !isAlone(record) || isFenced(record, facts, host)) return null;
  if (record.home !== undefined)
    return `${host} is held dead, and the app's data is there: it waits for that host to be back`;
  if (hasLease(record, { release }))
    return `${host} is held dead: another one is started once the lease of this one is over`;
  return `${host} is held dead, and this may run there still, so no other one is started: if the host is off, \`grapevine host fence ${host}\``;
}
