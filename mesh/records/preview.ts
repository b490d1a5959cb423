// Preview: the names under which VMs are reached that do not serve yet. They follow from the record, so that every proxy and
// whoever claims names knows the same ones.

import { type AppRecord, isUnderWay } from "./app.ts";
import type { Release } from "./release.ts";

const PREVIEW_LABEL = "preview.";

/** A hostname that has a preview name has at most 253 characters with it. */
export const PREVIEWED_HOSTNAME_CHARS_MAX: number = 253 - PREVIEW_LABEL.length;

/** "preview.hello.example.com" of "hello.example.com": one label more, so that one wildcard of the DNS has them all. */
export function previewHostname(hostname: string): string {
  return `${PREVIEW_LABEL}${hostname}`;
}

/** By these a proxy reaches the VMs on standby. Only a bluegreen release has them. */
export function previewHostnames({ rollout, releases, vms, deleted }: AppRecord): readonly string[] {
  const next = releases.find(({ number }) => number === rollout?.to);
  const isOffered = !deleted && rollout?.state === "running" && vms.some(({ phase }) => phase === "standby");
  return isOffered ? previewsOf(next) : [];
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
  const numbers = isUnderWay(rollout) ? [current, rollout?.to] : [current];
  const previews = releases.filter(({ number }) => numbers.includes(number)).flatMap(previewsOf);
  return [...new Set([...hostnames, ...previews])];
}

function previewsOf(release: Release | undefined): readonly string[] {
  if (release?.spec.deploy.strategy !== "bluegreen") return [];
  return release.spec.hostnames.map(previewHostname);
}
