// Clients: what an app's record promises each of its clients while releases change over. `sticky`: none is sent back. `pinned`: a page
// keeps its release for a while. Both follow from the record, so that proxies, gates and whoever drives know the same.

import type { AppRecord, DesiredVm } from "./app.ts";
import type { DeploySpec, Release } from "./release.ts";
import { isUnderWay } from "./rollout-words.ts";

/** What a pin lasts where the app file does not say. */
export const PIN_MAX_AGE_MS: number = 600_000;

/** From the navigation on; null: its release pins no page. */
export function pinMaxAgeMs({ cutover, pinMaxAgeMs: maxAgeMs }: DeploySpec): number | null {
  return cutover === "pinned" ? (maxAgeMs ?? PIN_MAX_AGE_MS) : null;
}

/**
 * The release whose word counts for its clients: the newest that says one of the two, of those that have VMs and the one on its way. So it
 * holds from the moment at which a deploy of such a release begins until the last VM of it is gone, on the way back too. Null: none does.
 */
export function clientsRelease({ releases, vms, rollout }: AppRecord): Release | null {
  const numbers = new Set(vms.map(({ release }) => release));
  if (isUnderWay(rollout) && rollout?.to != null) numbers.add(rollout.to);
  const isOne = ({ number, spec }: Release) =>
    numbers.has(number) && (spec.deploy.cutover === "sticky" || spec.deploy.cutover === "pinned");
  return releases.findLast(isOne) ?? null;
}

/**
 * An old VM that is kept for pages that its release served: requests that carry its pin reach it, and no others. It is cordoned, and a later
 * commit that keeps it no more closes it, before anything stops it.
 */
export function isPinned(vm: DesiredVm, record: AppRecord): boolean {
  const { rollout, releases, vms, kept, deleted } = record;
  if (vm.phase !== "cordoned" || deleted) return false;
  const pins = (number: number | null | undefined) =>
    releases.some((release) => release.number === number && pinMaxAgeMs(release.spec.deploy) !== null);
  if (isUnderWay(rollout) && rollout?.kind === "deploy") {
    const { direction, from, to } = rollout;
    // Not before the new ones took over: what is cordoned until then was left by somebody else, and is stopped.
    const hasTakenOver = vms.some(({ phase, release }) => phase === "serving" && release === to);
    return direction === "forward" && vm.release === from && from !== to && hasTakenOver && pins(to);
  }
  if (isUnderWay(rollout)) {
    const isLeaving =
      rollout?.targets.includes(vm.vm) === true || rollout?.step?.vms.includes(vm.vm) === true;
    if (rollout?.kind === "destroy" || (rollout?.kind !== "weigh" && isLeaving)) return false;
  }
  // The newer of the two said how long the other one is kept, on the way back too.
  if (kept === undefined || kept.over === true) return false;
  return kept.release === vm.release && pins(Math.max(kept.release, record.current ?? 0));
}
