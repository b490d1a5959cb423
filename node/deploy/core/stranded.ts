// Stranded: a VM of an app that never runs twice on a host that nobody hears: what it waits for, in words. No rollout says so, since none begins.

import type { AppRecord, DesiredVm } from "../../../mesh/index.ts";
import type { Facts } from "./facts.ts";
import { isFenced } from "./fences.ts";
import { isAlone } from "./handoff.ts";
import { hasLease } from "./may-run.ts";
import { place } from "./place.ts";

/** Null: it is not. */
export function strandedText(
  record: AppRecord,
  facts: Facts,
  { host, release }: Pick<DesiredVm, "host" | "release">,
): string | null {
  const isDead = facts.hosts.get(host)?.deadSinceMs !== undefined;
  if (!isDead || !isAlone(record)) return null;
  if (record.home !== undefined)
    return `${host} is held dead, and the app's data is there: bring ${host} back, it waits for that`;
  const obstacle = obstacleTo(record, facts, release);
  if (isFenced(record, facts, host)) return obstacle === "" ? null : `${host} is fenced${obstacle}`;
  if (hasLease(record, { release }))
    return `${host} is held dead: another one is started once the lease of this one is over${obstacle}`;
  return `${host} is held dead, and this may run there still, so no other one is started: if the host is off, \`grapevine host fence ${host}\``;
}

/** Empty: another host has room. */
function obstacleTo({ vms }: AppRecord, { hosts }: Facts, release: number): string {
  const placing = place({ release, vms, hosts: hosts.values(), count: 1 });
  return placing.code === "placed" ? "" : `, but ${placing.message}`;
}
