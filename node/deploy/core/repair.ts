// Repair: between rollouts, VMs of a host that died are placed elsewhere. That a host is dead is what its peers see of it, no proof: its
// VMs may run on. So one more is started first, and what was replaced is taken out of routing before it leaves the record; its host
// stops it when it is back.

import type { AppRecord, CommittedApp, DesiredVm, MemberName, Rollout } from "../../../mesh/index.ts";
import { type CommitContext, fitted } from "./commits.ts";
import { applyFirst } from "./decide.ts";
import type { Facts } from "./facts.ts";
import { isAlone, isGivenUp } from "./handoff.ts";
import { hasLease } from "./may-run.ts";
import { rolloutWithin } from "./new-rollout.ts";

/** `begin`: commit this. `none`: nothing now; look again at `dueAtMs`, milliseconds since 1970, unless it is null. */
export type Repair =
  | { readonly code: "begin"; readonly record: AppRecord; readonly why: string }
  | { readonly code: "none"; readonly dueAtMs: number | null };

/** After a repair that failed: what is wrong is seldom over in seconds, and each try is some commits. */
const PAUSE_MS = 60_000;

export function repairOf(committed: CommittedApp, context: CommitContext, afterMs: number): Repair {
  const { record } = committed;
  const dueByHost = dueOf(context.facts, afterMs);
  const serving = record.vms.filter(({ phase }) => phase === "serving");
  // With a lease its VM is gone some time after it left the record.
  const isReplaceable = (vm: DesiredVm) =>
    !isAlone(record) || isGivenUp(record, context.facts, vm.host) || hasLease(record, vm);
  const threatened = serving.filter((vm) => dueByHost.has(vm.host) && isReplaceable(vm));
  if (record.deleted || threatened.length === 0) return { code: "none", dueAtMs: null };
  const pausedUntilMs = pauseOf(record.rollout);
  const dueAtMs = Math.max(
    pausedUntilMs,
    Math.min(...threatened.map(({ host }) => dueByHost.get(host) ?? 0)),
  );
  if (dueAtMs > context.wallMs) return { code: "none", dueAtMs };
  const lost = threatened.filter(({ host }) => (dueByHost.get(host) ?? 0) <= context.wallMs);
  const release = Math.max(...lost.map((vm) => vm.release));
  const targets = lost.filter((vm) => vm.release === release);
  const rollout: Rollout = {
    ...rolloutWithin(committed, release, context),
    kind: "repair",
    targets: targets.map(({ vm }) => vm),
    count: serving.filter((vm) => vm.release === release).length,
  };
  const first = applyFirst(fitted({ ...record, rollout }), context);
  // A host that can run it comes as another fact.
  if (first.code === "no-host") return { code: "none", dueAtMs: null };
  const hosts = [...new Set(targets.map(({ host }) => host))].join(", ");
  return { code: "begin", record: first.record, why: `${hosts} is lost: its VMs are replaced` };
}

/** When the VMs of each dead host may be replaced; of one that is lost at once: it is fenced, or its time has come. */
function dueOf({ hosts, lost }: Facts, afterMs: number): ReadonlyMap<MemberName, number> {
  const dead = [...hosts.values()].filter(
    ({ host, deadSinceMs }) => deadSinceMs !== undefined || lost.has(host),
  );
  return new Map(dead.map(({ host, deadSinceMs = 0 }) => [host, lost.has(host) ? 0 : deadSinceMs + afterMs]));
}

function pauseOf(rollout: Rollout | null): number {
  const hasFailed = rollout?.kind === "repair" && rollout.state === "failed";
  return hasFailed ? (rollout.endedAtMs ?? 0) + PAUSE_MS : 0;
}
