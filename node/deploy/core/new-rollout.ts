// New rollout: what each begins with.

import type { AppName, AppRecord, CommittedApp, Rollout } from "../../../mesh/index.ts";
import type { CommitContext } from "./commits.ts";
import { registeredProxies } from "./facts.ts";

/** Of a deploy of a new release. */
export function rolloutId(app: AppName, release: number): string {
  return `${app}-v${release}`;
}

/** Of one that brings no new release: `epoch` is that of the record before it. */
export function laterRolloutId(app: AppName, release: number, epoch: number): string {
  return `${rolloutId(app, release)}-e${epoch + 1}`;
}

/** `surplus`: of what serves, VMs that do not serve again if it goes back. */
export function deployOf(record: AppRecord, to: number, context: CommitContext, surplus = 0): Rollout {
  const targets = record.vms.filter(({ phase }) => phase !== "cordoned" && phase !== "prepared");
  const releases = targets.map((vm) => vm.release);
  const isMixed = targets.length > 0 && !releases.includes(record.current ?? 0);
  const from = isMixed ? Math.max(...releases) : record.current;
  return {
    ...emptyRollout(context),
    id: rolloutId(record.app, to),
    kind: "deploy",
    from,
    to,
    targets: targets.map((vm) => vm.vm),
    ...(surplus > 0 ? { before: targets.length - surplus } : {}),
  };
}

/** Of one by which `release` goes on: it brings no other. */
export function rolloutWithin(
  { epoch, record }: CommittedApp,
  release: number,
  context: CommitContext,
): Omit<Rollout, "kind" | "targets"> {
  const id = laterRolloutId(record.app, release, epoch);
  return { ...emptyRollout(context), id, from: release, to: release };
}

export function emptyRollout({
  driver,
  wallMs,
  facts,
}: CommitContext): Omit<Rollout, "id" | "kind" | "from" | "to" | "targets"> {
  return {
    state: "running",
    direction: "forward",
    driver,
    step: null,
    history: [],
    reason: null,
    proxies: registeredProxies(facts),
    startedAtMs: wallMs,
    endedAtMs: null,
  };
}
