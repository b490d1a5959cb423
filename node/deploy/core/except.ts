// Except: of whom it is not known, at the end of a rollout that succeeded, that they do as the record says. They are named in it.

import type { AppRecord, CommittedApp, MemberName } from "../../../mesh/index.ts";
import { rolloutOf } from "./commits.ts";
import { type Facts, isRegistered, lostHostsOf, registeredProxies } from "./facts.ts";
import { isHeard, needsAcks, type Standing } from "./standing.ts";

interface EndInput {
  readonly committed: CommittedApp;
  readonly standing: Standing;
  readonly facts: Facts;
}

/**
 * Proxies of which it is not known that they route as the record says, hosts by whose fence a step went on, and dead ones that may still
 * run what was replaced or stopped: also what served no more when the rollout began, and so is none of its targets. `closed`: the record
 * with its last step over.
 */
export function exceptOf({ committed, standing, facts }: EndInput, closed: AppRecord): readonly MemberName[] {
  const { epoch, record } = committed;
  const isBehind = (proxy: MemberName, since: number) =>
    needsAcks(record) && (facts.acks.get(proxy)?.verified ?? 0) < since;
  const names = (record.excluded ?? []).map(({ proxy }) => proxy);
  const excluded = names.filter((proxy) => isRegistered(facts, proxy) && isBehind(proxy, epoch));
  const behind = (standing.behind ?? []).map(({ who }) => who as MemberName);
  // For those the gates spoke. A step that stops asks no proxy, and routes as the record before it did.
  const routedAt = rolloutOf(record).step?.kind === "stop" ? epoch - 1 : epoch;
  const unheard = registeredProxies(facts).filter((proxy) => !isHeard(facts, proxy));
  const unsaid = unheard.filter((proxy) => isBehind(proxy, routedAt));
  const { targets, history } = rolloutOf(closed);
  const named = new Set(record.vms.map(({ vm }) => vm));
  const stopped = history.flatMap(({ kind, vms }) => (kind === "stop" ? vms : []));
  const left = [...targets, ...stopped].filter((vm) => !named.has(vm));
  const fenced = history.flatMap((step) => (step.fenced ?? []).map(({ host }) => host));
  const lost = left.flatMap((vm) => lostHostsOf(facts, vm));
  return [...new Set([...excluded, ...behind, ...unsaid, ...lost, ...fenced])].sort();
}
