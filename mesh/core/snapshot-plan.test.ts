import fc from "fast-check";
import { expect, test } from "vitest";
import { standInCrypto } from "../sim/stand-in-crypto.ts";
import { newStore } from "../sim/store-harness.ts";
import { digestOf } from "./digest.ts";
import { type OwnerId, ownerId } from "./ids.ts";
import type { HostDelta } from "./message.ts";
import { OwnState } from "./own-state.ts";
import { type SnapshotBatch, type SnapshotMark, SnapshotPlan } from "./snapshot-plan.ts";
import type { Store } from "./store.ts";

const OWNERS = ["owner-1", "owner-2", "owner-3"].map(ownerId);

function newOwner(owner: OwnerId, incarnation = 1): OwnState {
  const own = new OwnState(owner, { incarnation, startId: incarnation }, standInCrypto(owner));
  own.announce();
  return own;
}

function gossip(own: OwnState, store: Store): void {
  const delta = own.takeGossip();
  if (delta !== undefined) store.apply(delta);
}

/** As the file keeps it: entries by owner and key, one state an owner. */
class MemoryDisk {
  readonly #states = new Map<
    OwnerId,
    { delta: HostDelta; entries: Map<string, HostDelta["entries"][number]> }
  >();

  write({ deltas, removed }: SnapshotBatch): void {
    for (const owner of removed) this.#states.delete(owner);
    for (const delta of deltas) {
      const before = delta.from === 0 ? [] : [...(this.#states.get(delta.owner)?.entries ?? [])];
      const entries = new Map([...before, ...delta.entries.map((entry) => [entry.key, entry] as const)]);
      for (const [key, { value, version }] of entries) {
        if (value === null && version.counter <= delta.compacted) entries.delete(key);
      }
      this.#states.set(delta.owner, { delta, entries });
    }
  }

  get marks(): readonly SnapshotMark[] {
    return [...this.#states.values()].map(({ delta }) => ({ ...delta, counter: delta.to }));
  }

  states(): readonly HostDelta[] {
    return [...this.#states.values()].map(({ delta, entries }) => {
      const inOrder = [...entries.values()].sort((a, b) => a.version.counter - b.version.counter);
      return { ...delta, from: 0, entries: inOrder };
    });
  }
}

const steps = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant("write" as const),
      owner: fc.nat(2),
      key: fc.constantFrom("a", "b", "c"),
      value: fc.option(fc.uint8Array({ maxLength: 3 })),
    }),
    fc.record({ kind: fc.constant("restart" as const), owner: fc.nat(2) }),
    fc.record({ kind: fc.constant("forget" as const), owner: fc.nat(2) }),
    fc.record({ kind: fc.constant("compact" as const), owner: fc.nat(2) }),
    fc.record({ kind: fc.constant("write-batch" as const), isLost: fc.boolean() }),
  ),
  { maxLength: 60 },
);

test("whatever happens between the batches, the disk ends with the store, and a store that reads it holds the same", () => {
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 5 }), (list, entriesMax) => {
      const [store, disk, plan] = [newStore(), new MemoryDisk(), new SnapshotPlan()];
      const owners = OWNERS.map((owner) => newOwner(owner));
      plan.begin([], store);
      const incarnations = Array.from({ length: list.length }, (_, at) => at + 2).values();
      for (const step of list) {
        const own = owners["owner" in step ? step.owner : 0]!;
        const { owner } = own.state;
        if (step.kind === "write") own.write(step.key, step.value);
        else if (step.kind === "restart")
          owners[step.owner] = newOwner(owner, incarnations.next().value ?? 0);
        else if (step.kind === "forget") store.forget(owner, own.state.start);
        else if (step.kind === "compact") store.held(owner).inForce?.compact(own.state.counter - 1);
        else {
          const batch = plan.next(store, entriesMax);
          // The file failed: nothing of the batch is in it, or all and nobody heard.
          if (batch !== undefined && !step.isLost) disk.write(batch);
          if (step.isLost) plan.resume(disk.marks);
          else if (batch !== undefined) plan.confirm(batch);
        }
        gossip(own, store);
      }
      for (
        let batch = plan.next(store, entriesMax);
        batch !== undefined;
        batch = plan.next(store, entriesMax)
      ) {
        disk.write(batch);
        plan.confirm(batch);
      }
      const reader = newStore();
      for (const delta of disk.states()) expect(reader.restore(delta)).toMatchObject({ kind: "applied" });
      expect(reader.list("")).toEqual(store.list(""));
      const inForce = (held: Store) => digestOf(held).filter((item) => item.isInForce);
      // A collection alone is not news to the disk.
      const versions = (held: Store) => inForce(held).map(({ compacted: _, ...version }) => version);
      const inOrder = (held: Store) => versions(held).sort((a, b) => (a.owner < b.owner ? -1 : 1));
      expect(inOrder(reader)).toEqual(inOrder(store));
    }),
  );
});

test("an owner that never stops writing does not keep the disk from the others", () => {
  const [store, plan] = [newStore(), new SnapshotPlan()];
  const owners = OWNERS.map((owner) => newOwner(owner));
  plan.begin([], store);
  const seen = new Set<OwnerId>();
  for (let round = 0; round < OWNERS.length; round += 1) {
    for (const own of owners) {
      own.write("a", new Uint8Array([round]));
      gossip(own, store);
    }
    const batch = plan.next(store, 1);
    expect(batch).toMatchObject({ hasMore: true });
    for (const { owner } of batch?.deltas ?? []) seen.add(owner);
    if (batch !== undefined) plan.confirm(batch);
  }
  expect([...seen].sort()).toEqual([...OWNERS]);
});

test("of what was on disk and is not in force just so, nothing is continued", () => {
  const [store, plan] = [newStore(), new SnapshotPlan()];
  const own = newOwner(OWNERS[0]!);
  own.write("a", new Uint8Array([1]));
  gossip(own, store);
  own.write("b", new Uint8Array([1]));
  gossip(own, store);
  const gone = { owner: OWNERS[1]!, start: { incarnation: 1, startId: 1 }, counter: 3, compacted: 0 };
  plan.begin([{ owner: OWNERS[0]!, start: own.state.start, counter: 1, compacted: 0 }, gone], store);
  expect(plan.next(store, 100)).toMatchObject({ deltas: [{ from: 0, to: 2 }], removed: [OWNERS[1]] });
});
