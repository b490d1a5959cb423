import { expect, test } from "vitest";
import { ownerId } from "../core/ids.ts";
import type { EntryChange } from "../mesh.ts";
import { Arrivals } from "./arrivals.ts";

const [OWNER, PEER] = [ownerId("owner"), ownerId("peer")];

function change(key: string, counter: number, more: Partial<EntryChange> = {}): EntryChange {
  const version = { incarnation: 1, startId: 1, counter };
  return { owner: OWNER, key, value: null, version, path: "gossip", from: PEER, ...more };
}

test("of each entry the newest version's way is remembered, with how long ago", () => {
  let nowMs = 100;
  const arrivals = new Arrivals(() => nowMs);
  arrivals.note(change("a", 1));
  arrivals.note(change("a", 2, { path: "sync" }));
  nowMs = 350;
  expect(arrivals.of(change("a", 2))).toEqual({ path: "sync", from: PEER, agoMs: 250 });
  expect(arrivals.of(change("a", 1))).toBeNull();
  expect(arrivals.of(change("b", 1))).toBeNull();
});

test("over the bound what came longest ago is forgotten, and what came again is not", () => {
  const arrivals = new Arrivals(() => 0, 2);
  for (const [key, counter] of [
    ["a", 1],
    ["b", 2],
    ["a", 3],
    ["c", 4],
  ] as const)
    arrivals.note(change(key, counter));
  expect(arrivals.of(change("b", 2))).toBeNull();
  expect(arrivals.of(change("a", 3))).not.toBeNull();
  expect(arrivals.of(change("c", 4))).not.toBeNull();
});
