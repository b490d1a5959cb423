import { describe, expect, it } from "vitest";
import { appName } from "../core/ids.ts";
import { type AppRecord, decodeAppRecord, encodeAppRecord } from "./app.ts";
import { describeWeights, isSameWeights, type Weights, weightOf, weightsFault } from "./weights.ts";

function weights(...parts: readonly (readonly [number, number])[]): Weights {
  return parts.map(([release, weight]) => ({ release, weight }));
}

function recordWith(split: Weights): AppRecord {
  const bare = { format: 1, app: appName("hello"), deleted: false, hostnames: [], releases: [] } as const;
  return { ...bare, current: null, lastRelease: 0, vms: [], weights: split, rollout: null };
}

describe("weights", () => {
  it("come back from the record as they went in", () => {
    const split = weights([1, 90], [2, 10], [3, 0]);
    const decoded = decodeAppRecord(encodeAppRecord(recordWith(split)));
    expect(decoded.ok && decoded.value.weights).toEqual(split);
  });

  it.each([
    ["nothing", weights()],
    ["a sum below 100", weights([1, 90], [2, 9])],
    ["a sum above 100", weights([1, 90], [2, 11])],
    ["a release twice", weights([1, 50], [1, 50])],
    ["a share of a percent", weights([1, 99.5], [2, 0.5])],
    ["less than nothing", weights([1, 110], [2, -10])],
    [
      "more releases than a record can have",
      weights(...[1, 2, 3, 4, 5, 6, 7, 8, 9].map((r) => [r, r === 1 ? 100 : 0] as const)),
    ],
  ])("of a record are refused when they are %s", (_what, split) => {
    expect(decodeAppRecord(encodeAppRecord(recordWith(split))).ok).toBe(false);
  });

  it("are said with the oldest release first, and are the same in whatever order they are written", () => {
    expect(describeWeights(weights([2, 10], [1, 90]))).toBe("v1=90 v2=10");
    expect(isSameWeights(weights([2, 10], [1, 90]), weights([1, 90], [2, 10]))).toBe(true);
    expect(isSameWeights(weights([1, 100]), undefined)).toBe(false);
    expect(weightOf(weights([2, 10], [1, 90]), 3)).toBe(0);
    expect(weightsFault(weights([1, 90]))).toBe("the weights sum to 90, not to 100");
  });
});
