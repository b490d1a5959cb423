// Preview: the names under which VMs are reached that do not serve yet. They follow from the record, so that every proxy and
// whoever claims names knows the same ones.

import type { AppRecord, DesiredVm } from "./app.ts";
import type { Release } from "./release.ts";
import { isUnderWay } from "./rollout-words.ts";

const PREVIEW_LABEL = "preview.";

/** A hostname that has a preview name has at most 253 characters with it. */
export const PREVIEWED_HOSTNAME_CHARS_MAX: number = 253 - PREVIEW_LABEL.length;

/** "preview.hello.example.com" of "hello.example.com": one label more, so that one wildcard of the DNS has them all. */
export function previewHostname(hostname: string): string {
  return `${PREVIEW_LABEL}${hostname}`;
}

/** By these a proxy reaches the VMs that `isPreviewed`. Only a bluegreen release has them. */
export function previewHostnames(record: AppRecord): readonly string[] {
  const { rollout, releases, vms, deleted } = record;
  const next = releases.find(({ number }) => number === rollout?.to);
  const isOffered = !deleted && isUnderWay(rollout) && vms.some((vm) => isPreviewed(vm, record));
  return isOffered ? previewsOf(next) : [];
}

/** On standby, or of the new release and serving by weight, be that 0: it has not taken over yet. */
export function isPreviewed(
  { phase, release }: Pick<DesiredVm, "phase" | "release">,
  { rollout, weights }: AppRecord,
): boolean {
  const isWeighed = weights !== undefined && release === rollout?.to && isUnderWay(rollout);
  return phase === "standby" || (phase === "serving" && isWeighed);
}

/** All names that the record uses or may use before its next release: these are claimed for the app. */
export function claimedHostnames({
  hostnames,
  releases,
  rollout,
  current,
  deleted,
}: AppRecord): readonly string[] {
  if (deleted || hostnames.length === 0) return hostnames;
  const numbers = isUnderWay(rollout) ? [current, rollout?.to, rollout?.next] : [current];
  const previews = releases.filter(({ number }) => numbers.includes(number)).flatMap(previewsOf);
  return [...new Set([...hostnames, ...previews])];
}

function previewsOf(release: Release | undefined): readonly string[] {
  if (release?.spec.deploy.strategy !== "bluegreen") return [];
  return release.spec.hostnames.map(previewHostname);
}
