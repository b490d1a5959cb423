// Quorum: who must answer a step, and how many of them suffice. Nobody is dropped for being silent: who is not asked stands in the record.

import type { AppRecord, Exclusion, MemberName, RolloutStep } from "../../../mesh/index.ts";
import { type Facts, isRegistered, registeredProxies } from "./facts.ts";

/** A step by which VMs come into routing. It destroys nothing, and nothing has to drain. */
export function isEntering(kind: RolloutStep["kind"]): boolean {
  return kind === "standby" || kind === "serve";
}

/** A step by which VMs go out of routing: what runs on them has to drain. */
export function isLeaving(kind: RolloutStep["kind"]): boolean {
  return kind === "flip" || kind === "cordon" || kind === "hold";
}

/** Those that the step does not ask. Of silence only a step that adds makes something. */
function excludedOf(kind: RolloutStep["kind"], { excluded = [] }: AppRecord): ReadonlySet<MemberName> {
  const counts = ({ by }: Exclusion) => by === "person" || isEntering(kind);
  return new Set(excluded.filter(counts).map(({ proxy }) => proxy));
}

/**
 * The proxies that must answer: those of the ack set, and those that registered since: a joiner that read the record just
 * before this step would otherwise be missed. One that left is not waited for, one that is only silent is.
 */
export function ackersOf(
  step: Pick<RolloutStep, "kind" | "ackSet">,
  record: AppRecord,
  facts: Facts,
): readonly MemberName[] {
  const all = new Set([...step.ackSet, ...registeredProxies(facts)]);
  const excluded = excludedOf(step.kind, record);
  const left = (proxy: MemberName) => facts.proxies.has(proxy) && !isRegistered(facts, proxy);
  return [...all].filter((proxy) => !left(proxy) && !excluded.has(proxy)).sort();
}

/** Of so many that are asked, so many suffice: the app's share for a step that adds, one at least; else all. */
export function quorumOf(kind: RolloutStep["kind"], record: AppRecord, asked: number): number {
  const next = record.releases.find(({ number }) => number === record.rollout?.to);
  const share = isEntering(kind) ? (next?.spec.deploy.ackQuorum ?? 1) : 1;
  // 0.1 * 30 is a little more than 3 to a computer.
  return Math.min(asked, Math.max(1, Math.ceil(share * asked - 1e-9)));
}
