import { beforeEach, expect, test } from "vitest";
import type { Entry } from "../mesh.ts";
import { Checkers } from "./checkers.ts";
import { Ledger } from "./ledger.ts";
import { SimMember } from "./sim-member.ts";

const OWNER = new SimMember(0);
let ledger: Ledger;
let checkers: Checkers;
let observer: SimMember;

beforeEach(() => {
  ledger = new Ledger();
  checkers = new Checkers(2, ledger);
  observer = new SimMember(1);
  observer.life = 1;
});

function entry(counter: number, value: number | null): Entry {
  const version = { incarnation: 1, startId: 1, counter };
  return { owner: OWNER.owner, key: "vm/0", value: value === null ? null : new Uint8Array([value]), version };
}

function write(counter: number, value: number | null): Entry {
  const written = entry(counter, value);
  ledger.record(written);
  return written;
}

function tell(...entries: readonly Entry[]): readonly string[] {
  for (const told of entries) checkers.changed(observer, told, 0);
  return checkers.violations.map(({ invariant }) => invariant);
}

test("what the owner wrote, in order, violates nothing", () => {
  expect(tell(write(1, 1), write(2, null), write(3, 3))).toEqual([]);
});

test("a value that the owner did not write at that version violates single-writer", () => {
  write(1, 1);
  expect(tell(entry(1, 2))).toEqual(["single-writer"]);
  expect(tell(entry(2, 2))).toEqual(["single-writer", "single-writer"]);
});

test("an older version after a newer one violates single-writer, after a deletion no-resurrection", () => {
  const [first, second, deleted] = [write(1, 1), write(2, 2), write(3, null)];
  expect(tell(second, first)).toEqual(["single-writer"]);
  expect(tell(deleted, second)).toEqual(["single-writer", "no-resurrection"]);
});

test("a deletion that the owner never did violates no-empty-table", () => {
  const first = write(1, 1);
  const vanished = { ...entry(2, null), version: { incarnation: 2, startId: 1, counter: 1 } };
  expect(tell(first, vanished)).toEqual(["no-empty-table"]);
});

test("a key that its owner deleted may vanish with the start that had it", () => {
  const first = write(1, 1);
  write(2, null);
  const vanished = { ...entry(3, null), version: { incarnation: 2, startId: 1, counter: 1 } };
  expect(tell(first, vanished)).toEqual([]);
});

test("a process that starts again may be told what is older than it knew before", () => {
  const [first, second] = [write(1, 1), write(2, 2)];
  tell(second);
  observer.life = 2;
  expect(tell(first)).toEqual([]);
});
