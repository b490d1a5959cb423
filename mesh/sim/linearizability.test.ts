import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  apply,
  describeNotLinearizable,
  findNotLinearizable,
  hasToHappen,
  mayHappen,
  type RegisterOperation,
  type Shown,
} from "./linearizability.ts";
import { seededRandom } from "./seeded-random.ts";

type Times = readonly [calledAt: number, returnedAt: number | null];

function read([calledAt, returnedAt]: Times, shown: Shown | null, register = "r"): RegisterOperation {
  return { register, client: "reader", calledAt, returnedAt, call: "read", outcome: { kind: "ok", shown } };
}

function swap(
  [calledAt, returnedAt]: Times,
  [expectedEpoch, value]: readonly [number, string],
  outcome: Extract<RegisterOperation, { call: "swap" }>["outcome"] = { kind: "ok" },
): RegisterOperation {
  return {
    register: "r",
    client: "writer",
    calledAt,
    returnedAt,
    call: "swap",
    expectedEpoch,
    value,
    outcome,
  };
}

const at = (epoch: number, value: string): Shown => ({ epoch, value });

function isLinearizable(history: readonly RegisterOperation[]): boolean {
  return findNotLinearizable(history) === null;
}

describe("findNotLinearizable()", () => {
  it.each<[string, readonly RegisterOperation[]]>([
    ["an empty history", []],
    ["a read of what was never written", [read([0, 1], null)]],
    ["one after the other", [swap([0, 1], [0, "x"]), read([2, 3], at(1, "x")), swap([4, 5], [1, "y"])]],
    ["a read before a swap that it overlaps", [swap([0, 9], [0, "x"]), read([1, 2], null)]],
    ["a read after a swap that it overlaps", [swap([0, 9], [0, "x"]), read([1, 2], at(1, "x"))]],
    [
      "what ends as another begins: they may have been at one time",
      [swap([0, 5], [0, "x"]), read([5, 6], null)],
    ],
    [
      "an unknown swap that happened much later",
      [swap([0, 1], [0, "x"], { kind: "unknown" }), read([5, 6], null), read([7, 8], at(1, "x"))],
    ],
    [
      "an unknown swap that never happened",
      [swap([0, 1], [0, "x"], { kind: "unknown" }), swap([2, 3], [0, "y"])],
    ],
    [
      "a swap that lost, and says to whom",
      [swap([0, 9], [0, "x"]), swap([1, 8], [0, "y"], { kind: "conflict", shown: at(1, "x") })],
    ],
    [
      "a swap that never returned",
      [swap([0, null], [0, "x"], { kind: "unknown" }), read([1, 2], at(1, "x"))],
    ],
  ])("explains %s", (_name, history) => {
    expect(findNotLinearizable(history)).toBeNull();
  });

  it.each<[string, readonly RegisterOperation[]]>([
    ["a read that is behind", [swap([0, 1], [0, "x"]), read([2, 3], null)]],
    ["a read of what nobody wrote", [read([0, 1], at(1, "x"))]],
    ["two that committed one epoch", [swap([0, 9], [0, "x"]), swap([0, 9], [0, "y"])]],
    ["a read that goes back", [swap([0, 9], [0, "x"]), read([1, 2], at(1, "x")), read([3, 4], null)]],
    ["one that failed, and happened", [swap([0, 1], [0, "x"], { kind: "fail" }), read([2, 3], at(1, "x"))]],
    [
      "one that was unknown, read, and then not there",
      [swap([0, 1], [0, "x"], { kind: "unknown" }), read([2, 3], at(1, "x")), swap([4, 5], [0, "y"])],
    ],
    [
      "a conflict with what was expected",
      [swap([0, 1], [0, "x"]), swap([2, 3], [1, "y"], { kind: "conflict", shown: at(1, "x") })],
    ],
    [
      "a conflict that others were told of, and its own swap stands",
      [swap([0, 9], [0, "x"], { kind: "conflict", shown: null }), read([2, 3], at(1, "x"))],
    ],
    ["a read before the swap that it saw was called", [read([0, 1], at(1, "x")), swap([2, 3], [0, "x"])]],
  ])("does not explain %s", (_name, history) => {
    expect(findNotLinearizable(history)).not.toBeNull();
  });

  it("says which operation fits nowhere, and what stood", () => {
    const history = [swap([0, 1], [0, "x"]), swap([2, 3], [1, "y"]), read([4, 5], at(1, "x"))];
    expect(describeNotLinearizable(findNotLinearizable(history)!)).toBe(
      'r: no order explains reader\'s read from 4 to 5: ok 1 "x" (after 2 operations, 2 "y" stands)',
    );
  });

  it("judges each register alone", () => {
    const good = swap([0, 1], [0, "x"]);
    const bad = read([2, 3], at(7, "never"), "s");
    expect(findNotLinearizable([good, bad])).toMatchObject({ register: "s", operation: bad });
    expect(isLinearizable([good, read([2, 3], null, "s")])).toBe(true);
  });

  it("agrees with trying all orders", () => {
    fc.assert(
      fc.property(histories, (history) => {
        expect(isLinearizable(history)).toBe(isExplained(history.filter(mayHappen), null));
      }),
      { numRuns: 3_000 },
    );
  });

  it("explains what one register did, and not with one answer changed", () => {
    const seeds = fc.integer({ min: 0, max: 2 ** 31 });
    fc.assert(
      fc.property(seeds, fc.integer({ min: 2, max: 200 }), fc.nat(), (seed, length, which) => {
        const history = atomicHistory(seed, length);
        expect(findNotLinearizable(history)).toBeNull();
        const reads = history.filter(({ call, outcome }) => call === "read" && outcome.kind === "ok");
        const changed = reads[which % Math.max(1, reads.length)];
        if (changed === undefined) return;
        const wrong = read([changed.calledAt, changed.returnedAt], at(10_000, "never"));
        expect(isLinearizable(history.map((one) => (one === changed ? wrong : one)))).toBe(false);
      }),
    );
  });

  it("judges ten thousand operations of five clients, one in ten of them unknown", () => {
    const history = atomicHistory(7, 10_000);
    expect(history.filter(({ outcome }) => outcome.kind === "unknown").length).toBeGreaterThan(500);
    expect(findNotLinearizable(history)).toBeNull();
    const stale = history.findLast(({ call, outcome }) => call === "read" && outcome.kind === "ok");
    const wrong = history.map((one) =>
      one === stale ? read([one.calledAt, one.returnedAt], at(1, "v0")) : one,
    );
    expect(findNotLinearizable(wrong)?.operation.calledAt).toBeGreaterThanOrEqual(stale!.calledAt - 100);
  });
});

/** The oracle: every order that the times allow, with or without each unknown swap. */
function isExplained(open: readonly RegisterOperation[], standing: Shown | null): boolean {
  if (!open.some(hasToHappen)) return true;
  const ends = open.filter(hasToHappen).map(({ returnedAt }) => returnedAt ?? Number.POSITIVE_INFINITY);
  return open.some((operation) => {
    if (operation.calledAt > Math.min(...ends)) return false;
    const next = apply(operation, standing);
    return (
      next !== undefined &&
      isExplained(
        open.filter((other) => other !== operation),
        next,
      )
    );
  });
}

const shown = fc.option(
  fc.record({ epoch: fc.integer({ min: 1, max: 3 }), value: fc.constantFrom("x", "y") }),
);
const times = fc
  .tuple(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 6 }))
  .map(([calledAt, took]) => ({ calledAt, returnedAt: calledAt + took }));
const reads = fc
  .record({ times, shown, isKnown: fc.boolean() })
  .map(
    ({ times: { calledAt, returnedAt }, shown: what, isKnown }): RegisterOperation =>
      isKnown
        ? read([calledAt, returnedAt], what)
        : { register: "r", client: "c", calledAt, returnedAt, call: "read", outcome: { kind: "unknown" } },
  );
const swaps = fc
  .record({
    times,
    expectedEpoch: fc.integer({ min: 0, max: 2 }),
    value: fc.constantFrom("x", "y"),
    outcome: fc.oneof(
      fc.constantFrom({ kind: "ok" } as const, { kind: "fail" } as const, { kind: "unknown" } as const),
      shown.map((what) => ({ kind: "conflict", shown: what }) as const),
    ),
  })
  .map(({ times: { calledAt, returnedAt }, expectedEpoch, value, outcome }) =>
    swap([calledAt, returnedAt], [expectedEpoch, value], outcome),
  );
const histories = fc.array(fc.oneof(reads, swaps), { maxLength: 7 });

interface Running {
  readonly operation: RegisterOperation;
  readonly happensAt: number;
}

/** Five clients of one register that does each operation at one moment of its time. */
function atomicHistory(seed: number, length: number): readonly RegisterOperation[] {
  const random = seededRandom(seed);
  let standing: Shown | null = null;
  const running: Running[] = [];
  const freeAt = [0, 0, 0, 0, 0];
  for (let number = 0; number < length; number += 1) {
    const client = freeAt.indexOf(Math.min(...freeAt));
    const calledAt = freeAt[client]! + random();
    const returnedAt = calledAt + 1 + 5 * random();
    // What is unknown may happen long after its client went on.
    const isUnknown = random() < 0.1;
    const happensAt = calledAt + (returnedAt - calledAt) * random() * (isUnknown ? 4 : 1);
    freeAt[client] = returnedAt;
    const base = { register: "r", client: `client ${client}`, calledAt, returnedAt };
    const operation: RegisterOperation =
      random() < 0.5
        ? { ...base, call: "read", outcome: { kind: isUnknown ? "unknown" : "ok", shown: null } }
        : { ...base, call: "swap", expectedEpoch: 0, value: `v${number}`, outcome: { kind: "ok" } };
    running.push({ operation: isUnknown ? unknown(operation) : operation, happensAt });
  }
  return running
    .toSorted((left, right) => left.happensAt - right.happensAt)
    .map(({ operation }) => {
      if (operation.call === "read")
        return operation.outcome.kind === "ok"
          ? { ...operation, outcome: { kind: "ok", shown: standing } }
          : operation;
      // Half of them were told the epoch before a moment ago, and some are late.
      const expectedEpoch: number = Math.max(0, (standing?.epoch ?? 0) - Number(random() < 0.3));
      const told = { ...operation, expectedEpoch };
      if (operation.outcome.kind === "unknown" && random() < 0.5) return told;
      if (expectedEpoch !== (standing?.epoch ?? 0))
        return operation.outcome.kind === "unknown"
          ? told
          : { ...told, outcome: { kind: "conflict", shown: standing } };
      standing = { epoch: expectedEpoch + 1, value: operation.value };
      return told;
    });
}

function unknown(operation: RegisterOperation): RegisterOperation {
  return { ...operation, outcome: { kind: "unknown" } };
}
