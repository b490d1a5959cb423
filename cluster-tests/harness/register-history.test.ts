import { expect, test } from "vitest";
import { judge, LongestGap, operationOf } from "./register-history.ts";

const committed = (register: string, expectedEpoch: number, release: number, atUs: number) =>
  operationOf({ client: "one", register, swap: { expectedEpoch, release } }, atUs, {
    calledUs: atUs,
    returnedUs: atUs + 1,
    outcome: { kind: "committed", shown: { epoch: expectedEpoch + 1, release } },
  });
const lost = (register: string, expectedEpoch: number, release: number, atUs: number) =>
  operationOf({ client: "two", register, swap: { expectedEpoch, release } }, atUs, null);

test("judge() finds nothing wrong with commits that stand, and with one that a killed member did not tell of", () => {
  const history = [committed("a", 0, 1, 10), lost("a", 1, 2, 20), committed("a", 2, 3, 30)];
  expect(judge(history, new Map([["a", { epoch: 3, value: "3" }]]))).toEqual([]);
});

test("judge() names a commit that does not stand, one that is forgotten, and two at one epoch", () => {
  const history = [committed("a", 0, 1, 10), committed("a", 1, 2, 20)];
  expect(judge(history, new Map([["a", { epoch: 1, value: "1" }]]))).toEqual([
    "a: 2 was committed as 2, but 1 1 stands",
  ]);
  expect(judge(history, new Map())).toHaveLength(2);
  const doubled = [...history, committed("a", 1, 3, 30)];
  expect(judge(doubled, new Map([["a", { epoch: 2, value: "2" }]]))).toEqual([
    expect.stringContaining("no order explains one's swap(1"),
    "a: 2 and 3 were both committed as 2",
    "a: 3 was committed as 2, but 2 2 stands",
  ]);
});

test("LongestGap counts only while a commit is possible", () => {
  const gap = new LongestGap();
  gap.possible(true, 0);
  gap.committed(5_000);
  gap.possible(false, 8_000);
  gap.possible(true, 100_000);
  gap.committed(104_000);
  expect(gap.ms).toBe(5);
});
