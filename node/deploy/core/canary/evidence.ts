// Evidence: what the proxies told of the bake in force, summed up, and what it says. Who cannot be heard is missing in it, and is named.

import {
  type AppRecord,
  type CanaryCounts,
  type CanarySpec,
  type MemberName,
  noWaits,
  type ReleaseCounts,
  type Rollout,
  vmName,
} from "../../../../mesh/index.ts";
import type { Facts } from "../facts.ts";
import { ackersOf } from "../quorum.ts";
import type { Want } from "../standing.ts";
import { type Counts, judgeCanary, type Verdict } from "./rule.ts";

export interface Evidence {
  readonly fresh: Counts;
  readonly old: Counts;
  readonly names: { readonly fresh: string; readonly old: string };
  readonly spec: CanarySpec;
  readonly verdict: Verdict;
}

/** Counts are of this step, and of no other. */
export function isOfStep(
  { rollout, step }: Pick<CanaryCounts, "rollout" | "step">,
  record: AppRecord,
): boolean {
  const now = record.rollout;
  return now?.step?.kind === "bake" && now.id === rollout && now.step.number === step;
}

/** Null: no bake is in force. */
export function evidenceOf(
  record: AppRecord,
  { counts, bakedMs }: Pick<Facts, "counts" | "bakedMs">,
): Evidence | null {
  const { rollout } = record;
  const spec = specOf(record, rollout);
  if (rollout?.step?.kind !== "bake" || spec === undefined) return null;
  const ofReleases = [...counts.sums()];
  const fresh = summed(ofReleases.filter(({ release }) => release === rollout.to));
  const old = summed(ofReleases.filter(({ release }) => release !== rollout.to));
  const names = { fresh: `v${rollout.to}`, old: rollout.from === null ? "the old" : `v${rollout.from}` };
  const { minRequests, weights } = spec;
  const verdict = judgeCanary({ fresh, old, names, minRequests, bakedMs, bakes: weights.length });
  return { fresh, old, names, spec, verdict };
}

function specOf({ releases }: AppRecord, rollout: Rollout | null): CanarySpec | undefined {
  return releases.find(({ number }) => number === rollout?.to)?.spec.deploy.canary;
}

function summed(all: readonly ReleaseCounts[]): Counts {
  const waits = noWaits();
  let [requests, errors] = [0, 0];
  for (const counts of all) {
    requests += counts.requests;
    errors += counts.errors;
    for (const [bucket, count] of counts.waits.entries()) waits[bucket] = (waits[bucket] ?? 0) + count;
  }
  return { requests, errors, waits };
}

/** What keeps the bake in force from being over, time aside; a release that is proven to be worse is a fault, not something missing. */
export function wantsOfBake(record: AppRecord, facts: Facts): readonly Want[] {
  const { rollout } = record;
  const evidence = evidenceOf(record, facts);
  if (rollout?.step == null || evidence === null) return [];
  const asked = ackersOf(rollout.step, record, facts);
  const unheard = asked.flatMap((proxy) => wantCounts(proxy, facts) ?? []);
  const sign = wantOfVerdict(evidence, vmName(rollout.step.vms[0] ?? record.app));
  return sign === null ? unheard : [...unheard, sign];
}

function wantCounts(proxy: MemberName, facts: Facts): Want | null {
  const isAway = facts.proxies.get(proxy)?.connected === false;
  if (facts.counts.has(proxy) && !isAway) return null;
  const away = isAway ? " (not connected)" : "";
  const what = `to tell what it counts${away}`;
  return { kind: "proxy", who: proxy, what, complaint: `${proxy} has not told what it counts${away}` };
}

function wantOfVerdict({ verdict, names, fresh, old, spec }: Evidence, who: Want["who"]): Want | null {
  if (verdict.code === "too-little") {
    const [name, have] = verdict.of === "fresh" ? [names.fresh, fresh] : [names.old, old];
    const what = `for ${spec.minRequests} requests to ${name}, ${have.requests} so far`;
    const complaint = `${name} got ${have.requests} requests of the ${spec.minRequests} that min_requests asks for`;
    return { kind: "traffic", who, what, complaint };
  }
  if (verdict.code !== "unsure") return null;
  const what = `for more requests: ${verdict.reason}; that may be chance`;
  return { kind: "traffic", who, what, complaint: `${verdict.reason}, which may be chance` };
}

/** What ends the deploy, or null. */
export function faultOfBake(record: AppRecord, facts: Facts): Rollout["reason"] {
  const evidence = evidenceOf(record, facts);
  if (evidence?.verdict.code !== "fail") return null;
  const { verdict, names, fresh, old } = evidence;
  const weight = record.weights?.find(({ release }) => release === record.rollout?.to)?.weight ?? 0;
  const all = fresh.requests + old.requests;
  const share = all === 0 ? "none" : `${((100 * verdict.saw) / all).toFixed(2)} %`;
  const seen = `${share} of ${all} requests saw it, at a weight of ${weight} %`;
  const message = `${names.fresh} is worse than ${names.old}: ${verdict.reason}; ${seen}`;
  return { code: "canary-failed", message, lastLines: [] };
}

/** Of a bake that is over: "v2 0 of 57 failed, v1 1 of 1093". */
export function describeEvidence({ names, fresh, old }: Evidence): string {
  const one = (name: string, { errors, requests }: Counts) => `${name} ${errors} of ${requests} failed`;
  return `${one(names.fresh, fresh)}, ${one(names.old, old)}`;
}
