import { expect, test } from "vitest";
import type { Cause } from "./cluster.ts";
import { Deliveries } from "./deliveries.ts";
import { Ledger } from "./ledger.ts";
import { newReplica } from "./new-replica.ts";
import { SimMember } from "./sim-member.ts";

const PUSH: Cause = { path: "push", hops: 1 };
const BOUND_MS = 1_000;

function newMember(index: number): SimMember {
  const member = new SimMember(index);
  const start = { incarnation: 1, startId: 1 };
  const options = { self: member.owner, start, random: () => 0, tombstoneGraceMs: 0, broken: undefined };
  member.replica = newReplica(options);
  return member;
}

test("a write that a fault touched at its owner is in no quantile", () => {
  const [origin, member] = [newMember(0), newMember(1)];
  const ledger = new Ledger();
  const deliveries = new Deliveries([origin, member]);
  const slot = ledger.slot(origin.owner, "vm/0");
  ledger.record({
    owner: origin.owner,
    key: "vm/0",
    value: null,
    version: { incarnation: 1, startId: 1, counter: 1 },
  });
  deliveries.track(origin, slot, 0);
  origin.touch(0, 50);
  deliveries.delivered(member, slot, 0, PUSH, 100);
  expect(deliveries.figures(BOUND_MS)).toMatchObject({ expected: 1, lastMs: [], eachMs: [] });
});

test("a later write delivers those before it, also when the member was down at one in between", () => {
  const [origin, member] = [newMember(0), newMember(1)];
  const ledger = new Ledger();
  const deliveries = new Deliveries([origin, member]);
  const slot = ledger.slot(origin.owner, "vm/0");
  const write = (counter: number): void => {
    const version = { incarnation: 1, startId: 1, counter };
    ledger.record({ owner: origin.owner, key: "vm/0", value: new Uint8Array([counter]), version });
    deliveries.track(origin, slot, counter);
  };
  write(1);
  const { replica } = member;
  member.replica = undefined;
  write(2);
  member.replica = replica;
  deliveries.delivered(member, slot, 1, PUSH, 101);
  expect(deliveries.figures(BOUND_MS)).toMatchObject({
    expected: 1,
    lastMs: [100],
    byPath: { push: 1 },
    unexplained: [],
  });
});
