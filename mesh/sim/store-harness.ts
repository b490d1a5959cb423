// Store harness: stores and the owners that they show, and a sync between two of them without a replica.

import { answerDigest } from "../core/delta.ts";
import { digestOf } from "../core/digest.ts";
import type { HeadCrypto } from "../core/head.ts";
import { type OwnerId, ownerId } from "../core/ids.ts";
import type { HostDelta } from "../core/message.ts";
import { OwnState } from "../core/own-state.ts";
import { ALL_PROTECTIONS } from "../core/protections.ts";
import { Store } from "../core/store.ts";
import { standInCrypto } from "./stand-in-crypto.ts";

export const OWNER: OwnerId = ownerId("owner");
export const READER: OwnerId = ownerId("reader");
export const CRYPTO: HeadCrypto = standInCrypto(OWNER);

export function newStore(): Store {
  return new Store(CRYPTO, { protections: ALL_PROTECTIONS, isControl: (key) => key.startsWith("app/") });
}

/** Whose states a store shows: sealed before it answers, as the replica does. */
const shown = new WeakMap<Store, OwnState[]>();

export function show(store: Store, own: OwnState): void {
  store.install(own.state);
  shown.set(store, [...(shown.get(store) ?? []), own]);
}

export function ownerStore(incarnation = 1): { own: OwnState; store: Store } {
  const own = new OwnState(OWNER, { incarnation, startId: 1 }, CRYPTO);
  const store = newStore();
  show(store, own);
  return { own, store };
}

export function answer(from: Store, to: Store, bytesMax = 100_000, turn = 0): readonly HostDelta[] {
  for (const own of shown.get(from) ?? []) own.seal();
  return answerDigest(from, { asker: READER, items: digestOf(to), scope: "all", bytesMax, turn }).deltas;
}

/** Asks until nothing is lacking. */
export function sync(from: Store, to: Store, bytesMax = 100_000): number {
  let rounds = 0;
  for (
    let deltas = answer(from, to, bytesMax);
    deltas.length > 0;
    deltas = answer(from, to, bytesMax, rounds)
  ) {
    for (const delta of deltas) to.apply(delta);
    rounds += 1;
    if (rounds > 1_000) throw new Error("sync does not end");
  }
  return rounds;
}

export function gossipOf(own: OwnState): HostDelta {
  const delta = own.takeGossip();
  if (delta === undefined) throw new Error("not announced");
  return delta;
}

export function contents(store: Store): readonly (readonly [string, string, readonly number[]])[] {
  return store.list("").map(({ owner, key, value }) => [owner, key, [...(value ?? [])]]);
}
