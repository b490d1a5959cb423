// Convergence: what must hold once faults have ended: every live member holds exactly what every owner wants, value by value.

import { compareVersions } from "../core/version.ts";
import type { Cluster } from "./cluster.ts";
import type { Invariant } from "./invariants.ts";
import { isSameBytes } from "./ledger.ts";
import type { SimMember } from "./sim-member.ts";

export interface Difference {
  readonly invariant: Invariant;
  readonly text: string;
}

/** Cheap, and true long before values are worth comparing: everyone holds each owner's newest version. */
export function isLevel(cluster: Cluster): boolean {
  return firstUnlevel(cluster) === undefined;
}

/** The first member found that does not hold an owner's newest version, with both states as they describe themselves. */
export function firstUnlevel(cluster: Cluster): string | undefined {
  for (const { owner, name, replica } of cluster.members) {
    const head = replica?.store.head(owner);
    for (const observer of cluster.members) {
      const held = observer.replica?.store.head(owner);
      if (head !== undefined && held !== undefined && compareVersions(held, head) === 0) continue;
      const { inForce, aside } = observer.replica?.store.held(owner) ?? {};
      const besides = aside === undefined ? "" : `, aside ${aside.describe()}`;
      const theirs = replica?.store.held(owner).inForce?.describe();
      return `${observer.name} holds of ${name} ${inForce?.describe()}${besides}; itself it is at ${theirs}`;
    }
  }
  return undefined;
}

/** All that is not as its owner wants it, up to `max`. */
export function differences(cluster: Cluster, max: number): readonly Difference[] {
  const found: Difference[] = [];
  for (const observer of cluster.members) {
    if (found.length >= max) break;
    if (observer.replica === undefined) continue;
    found.push(...differencesAt(cluster, observer));
  }
  return found.slice(0, max);
}

function differencesAt(cluster: Cluster, observer: SimMember): readonly Difference[] {
  const found: Difference[] = [];
  for (const owner of cluster.members) {
    const state = observer.replica?.store.held(owner.owner).inForce;
    if (state === undefined) {
      const text = `${observer.name} holds nothing of ${owner.name}`;
      found.push({ invariant: "no-lost-entry", text });
      continue;
    }
    for (const [key, value] of owner.wanted) {
      const held = state.get(key)?.value ?? null;
      if (held === null) {
        found.push({ invariant: "no-lost-entry", text: `${observer.name} lacks ${key} of ${owner.name}` });
      } else if (!isSameBytes(held, value)) {
        const text = `${observer.name} holds another value of ${key} of ${owner.name}`;
        found.push({ invariant: "converges", text });
      }
    }
    if (state.liveCount === owner.wanted.size) continue;
    for (const { key, value } of state.entries()) {
      if (value === null || owner.wanted.has(key)) continue;
      found.push({
        invariant: "no-resurrection",
        text: `${observer.name} holds ${key} of ${owner.name}, deleted`,
      });
    }
  }
  return found;
}
