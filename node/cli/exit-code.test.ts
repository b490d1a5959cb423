import { describe, expect, it } from "vitest";
import { memberName } from "../../mesh/index.ts";
import { exitCodeOf, exitCodeOfError, exitCodeOfMissed, isOver } from "./exit-code.ts";

const reason = (code: string) => ({ code, message: "", lastLines: [] });
const leftover = [{ who: memberName("proxy-2"), what: "to drain hello-v1-1", forMs: 1 }];
const keptOver = leftover.map((one) => ({ ...one, wasKept: true }));

describe("exitCodeOf()", () => {
  it.each([
    ["succeeded", null, [], 0],
    ["succeeded", null, leftover, 6],
    ["succeeded", null, keptOver, 0],
    ["succeeded", null, [...keptOver, ...leftover], 6],
    ["rolled-back", reason("check-failed"), [], 1],
    ["rolled-back", reason("start-failed"), leftover, 1],
    ["rolled-back", reason("no-host"), [], 1],
    ["rolled-back", reason("wait-timeout"), [], 3],
    ["failed", reason("start-failed"), [], 1],
    ["failed", reason("wait-timeout"), [], 3],
    ["failed", null, [], 1],
    ["aborted", null, [], 5],
    ["running", null, [], 3],
    ["paused", null, [], 3],
  ] as const)("of %s with %o is as documented", (state, why, leftovers, expected) => {
    expect(exitCodeOf({ state, reason: why }, leftovers)).toBe(expected);
  });
});

describe("exitCodeOf() of a deploy that somebody has not confirmed", () => {
  it("is 6, though nothing is left over", () => {
    expect(exitCodeOf({ state: "succeeded", reason: null, except: [memberName("proxy-2")] }, [])).toBe(6);
  });
});

describe("exitCodeOfMissed()", () => {
  it.each([
    ["a deploy whose release serves", "hello-v2", 2, "v2", 0],
    ["a deploy whose release never did", "hello-v2", 2, "v1", 1],
    ["a first launch that failed", "hello-v1", 1, null, 1],
    ["a deploy that a later one has replaced, or that had failed before", "hello-v2", 2, "v3", 3],
    ["a stop, which a repair may follow in the same breath", "hello-v1-e9", 1, "v1", 3],
    ["destroy", "hello-v1-e9", null, "v1", 3],
  ])("of %s", (_what, rollout, release, serving, expected) => {
    expect(exitCodeOfMissed({ app: "hello", rollout, release }, serving)).toBe(expected);
  });
});

describe("exitCodeOfError()", () => {
  it.each([
    ["locked", 4],
    ["invalid", 2],
    ["not-found", 2],
    ["unavailable", 2],
    ["internal", 2],
  ])("of %s is %d", (code, expected) => expect(exitCodeOfError(code)).toBe(expected));
});

describe("isOver()", () => {
  it.each([
    ["running", false],
    ["paused", false],
    ["succeeded", true],
    ["failed", true],
    ["rolled-back", true],
    ["aborted", true],
  ] as const)("of %s is %s", (state, expected) => expect(isOver({ state })).toBe(expected));
});
