import { describe, expect, it } from "vitest";
import { plan } from "./plan.ts";
import type { Operation } from "./proposer-face.ts";
import { ballotOf, valueAt } from "./testing/voters.ts";
import type { RegisterValue } from "./value.ts";

const RECORD = new TextEncoder().encode("new");
const BALLOT = ballotOf("9.a");

function swap(expectedEpoch: number): Operation {
  return { kind: "swap", expectedEpoch, record: RECORD };
}

function planned(operation: Operation, current: RegisterValue | null, proposed: string | null = null) {
  return plan(operation, {
    current,
    ballot: BALLOT,
    proposed: proposed === null ? null : ballotOf(proposed),
  });
}

describe("plan()", () => {
  it("builds the next epoch on the expected one, with this ballot as its origin", () => {
    for (const [expected, current] of [[0, null] as const, [3, valueAt(3, "2.b")] as const]) {
      expect(planned(swap(expected), current)).toMatchObject({
        value: { epoch: expected + 1, origin: BALLOT, record: RECORD },
        ending: "committed",
        isOurs: true,
      });
    }
  });

  it("keeps the origin of its first proposal in each later attempt: it is the same value", () => {
    expect(planned(swap(3), valueAt(3, "2.b"), "7.a").value).toMatchObject({
      epoch: 4,
      origin: ballotOf("7.a"),
    });
  });

  it("commits what stands when that is not what was expected: only then it is known to stand", () => {
    const current = valueAt(4, "2.b");
    for (const expected of [0, 3, 5]) {
      expect(planned(swap(expected), current)).toEqual({ value: current, ending: "conflict", isOurs: false });
    }
    expect(planned(swap(2), null)).toEqual({ value: null, ending: "conflict", isOurs: false });
  });

  it("knows its own proposal again, by origin", () => {
    const ours = valueAt(4, "7.a");
    expect(planned(swap(3), ours, "7.a")).toEqual({ value: ours, ending: "committed", isOurs: true });
  });

  it("is a conflict when another has the epoch that we proposed", () => {
    const other = valueAt(4, "8.b");
    expect(planned(swap(3), other, "7.a")).toEqual({ value: other, ending: "conflict", isOurs: false });
  });

  it("does not know what became of a proposal that the line went past", () => {
    const later = valueAt(5, "8.b");
    expect(planned(swap(3), later, "7.a")).toEqual({ value: later, ending: "unknown", isOurs: false });
    expect(planned(swap(3), later).ending).toBe("conflict");
  });

  it("is a conflict when the line is shorter than what was expected, also of a proposal of ours", () => {
    expect(planned(swap(3), valueAt(2, "8.b"), "7.a").ending).toBe("conflict");
  });

  it("proposes what stands for a read and a recommit, and nothing where nothing stands", () => {
    const current = valueAt(4, "2.b");
    for (const kind of ["read", "recommit"] as const) {
      expect(planned({ kind }, current)).toEqual({ value: current, ending: "read", isOurs: false });
      expect(planned({ kind }, null)).toEqual({ value: null, ending: "read", isOurs: false });
    }
  });

  it("seeds an empty register at the epoch that it had, and leaves one that is not", () => {
    const seed = { kind: "seed", epoch: 7, record: RECORD } as const;
    expect(planned(seed, null)).toMatchObject({ value: { epoch: 7, origin: BALLOT }, ending: "committed" });
    expect(planned(seed, null, "5.a").value?.origin).toEqual(ballotOf("5.a"));
    const current = valueAt(2, "2.b");
    expect(planned(seed, current)).toEqual({ value: current, ending: "conflict", isOurs: false });
    const ours = valueAt(7, "5.a");
    expect(planned(seed, ours, "5.a").ending).toBe("committed");
    expect(planned(seed, valueAt(8, "6.b"), "5.a").ending).toBe("unknown");
  });
});
