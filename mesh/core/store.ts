// Store: every host state in force, and those built aside until they may take the place of one (`no-empty-table`).

import { ENTRIES_PER_OWNER_MAX, OWNERS_MAX } from "../limits.ts";
import type { Entry, StoreView } from "../mesh.ts";
import { isSameValue } from "./entry.ts";
import { HostState } from "./host-state.ts";
import type { OwnerId } from "./ids.ts";
import type { HostDelta } from "./message.ts";
import { type HeldStates, type IgnoreReason, judge } from "./verdict.ts";
import { compareStarts, compareVersions } from "./version.ts";

/** `isProgress`: something is held now that was not before, in force or aside. */
export type Outcome =
  | { readonly kind: "applied"; readonly changes: readonly Entry[]; readonly isProgress: boolean }
  | { readonly kind: "ignored"; readonly reason: IgnoreReason }
  | { readonly kind: "refused"; readonly reason: "owners-max" | "entries-max" };

export class Store implements StoreView {
  readonly #inForce = new Map<OwnerId, HostState>();
  readonly #aside = new Map<OwnerId, HostState>();
  readonly #progressedAt = new Map<OwnerId, number>();
  #revision = 0;

  /** How often something came to be held that was not before. */
  get revision(): number {
    return this.#revision;
  }

  /** More of `owner` is held than at `revision`: to ask again would be another question. */
  hasProgressed(owner: OwnerId, revision: number): boolean {
    return (this.#progressedAt.get(owner) ?? 0) > revision;
  }

  get(owner: OwnerId, key: string): Entry | undefined {
    const entry = this.#inForce.get(owner)?.get(key);
    return entry === undefined || entry.value === null ? undefined : entry;
  }

  list(prefix: string): readonly Entry[] {
    const found: Entry[] = [];
    for (const state of this.#inForce.values()) {
      for (const entry of state.entries()) {
        if (entry.value !== null && entry.key.startsWith(prefix)) found.push(entry);
      }
    }
    return found.sort(compareEntries);
  }

  head(owner: OwnerId): HostState["head"] | undefined {
    return this.#inForce.get(owner)?.head;
  }

  held(owner: OwnerId): HeldStates {
    return { inForce: this.#inForce.get(owner), aside: this.#aside.get(owner) };
  }

  /** Every owner of whom something is held. */
  owners(): ReadonlySet<OwnerId> {
    return new Set([...this.#inForce.keys(), ...this.#aside.keys()]);
  }

  /** All of them, in force or aside. */
  states(): readonly HostState[] {
    return [...this.#inForce.values(), ...this.#aside.values()];
  }

  /** For the owner's own state, which is in force from its first write. */
  install(state: HostState): void {
    this.#inForce.set(state.owner, state);
  }

  apply(delta: HostDelta): Outcome {
    const held = this.held(delta.owner);
    const verdict = judge(held, delta);
    if (verdict.kind === "ignore") return { kind: "ignored", reason: verdict.reason };
    if (verdict.kind === "apply") return this.#continueAll(verdict.states, delta);
    const isNew = held.inForce === undefined && held.aside === undefined;
    if (isNew && this.owners().size >= OWNERS_MAX) return { kind: "refused", reason: "owners-max" };
    const state = new HostState(delta.owner, delta.start);
    state.inheritCompacted(delta.compacted);
    this.#aside.set(delta.owner, state);
    return this.#continueAll([state], delta);
  }

  /** In force first: what a state built aside then changes is told against it. */
  #continueAll(states: readonly HostState[], delta: HostDelta): Outcome {
    // Before any: what was taken of a stretch that is refused would never be told.
    if (states.some((state) => isOverBound(state, delta))) return { kind: "refused", reason: "entries-max" };
    const before = states.map(describeProgress);
    const changes = states.flatMap((state) => this.#continue(state, delta));
    const isProgress = states.some((state, at) => describeProgress(state) !== before[at]);
    if (isProgress) this.#progressed(delta.owner);
    return { kind: "applied", changes, isProgress };
  }

  #continue(state: HostState, delta: HostDelta): readonly Entry[] {
    const added = delta.entries.filter((entry) => entry.version.counter > state.counter);
    for (const entry of added) state.put(entry);
    state.advance(delta.to);
    state.learnCompleteAt(delta.completeAt);
    state.learnExactFrom(delta.head);
    return this.#aside.get(state.owner) === state ? this.#promote(state) : added;
  }

  #progressed(owner: OwnerId): void {
    this.#revision += 1;
    this.#progressedAt.set(owner, this.#revision);
  }

  /** Puts a state built aside in force if it may be, and returns what that changed. */
  #promote(state: HostState): readonly Entry[] {
    const before = this.#inForce.get(state.owner);
    const isSameStart = before !== undefined && compareStarts(before.start, state.start) === 0;
    if (!state.isComplete || (isSameStart && state.counter < before.counter)) return [];
    this.#aside.delete(state.owner);
    this.#inForce.set(state.owner, state);
    return [...differences(before, state), ...vanished(before, state)];
  }
}

function isOverBound(state: HostState, delta: HostDelta): boolean {
  if (state.size + delta.entries.length <= ENTRIES_PER_OWNER_MAX) return false;
  const added = delta.entries.filter(
    ({ key, version }) => version.counter > state.counter && state.get(key) === undefined,
  );
  return state.size + new Set(added.map((entry) => entry.key)).size > ENTRIES_PER_OWNER_MAX;
}

function describeProgress(state: HostState): string {
  return `${state.counter} ${state.completeAt}`;
}

/** Entries of the new state that the old one did not have, in version order. */
function differences(before: HostState | undefined, now: HostState): readonly Entry[] {
  return [...now.entries()].filter((entry) => {
    const old = before?.get(entry.key);
    if (entry.value === null) return old !== undefined && old.value !== null;
    return (
      old === undefined ||
      compareVersions(old.version, entry.version) !== 0 ||
      !isSameValue(old.value, entry.value)
    );
  });
}

/** Deletions of what only the old state had, at the new one's version: that is when they are known. */
function vanished(before: HostState | undefined, now: HostState): readonly Entry[] {
  if (before === undefined) return [];
  const gone = [...before.entries()].filter(
    (entry) => entry.value !== null && now.get(entry.key) === undefined,
  );
  return gone.map((entry) => ({ ...entry, value: null, version: now.head }));
}

function compareEntries(left: Entry, right: Entry): number {
  return compareText(left.owner, right.owner) || compareText(left.key, right.key);
}

function compareText(left: string, right: string): number {
  return left < right ? -1 : Number(left > right);
}
