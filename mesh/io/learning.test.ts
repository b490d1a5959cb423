import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { LEARN_LOOK_MS, LEARN_MS, LEARN_OUTDONE_MS_MAX } from "../limits.ts";
import { Learning } from "./learning.ts";

let announced: number;
let isOutdone: boolean;

beforeEach(() => {
  vi.useFakeTimers();
  [announced, isOutdone] = [0, false];
});

afterEach(() => vi.useRealTimers());

function learning(isForgetful: boolean): Learning {
  return new Learning({
    isForgetful,
    isOutdone: () => isOutdone,
    announce: () => {
      announced += 1;
    },
  });
}

test("who knows its incarnation announces itself at once", () => {
  learning(false).announce();
  expect(announced).toBe(1);
});

test("who lost it waits, once, for who could tell", () => {
  const one = learning(true);
  one.announce();
  one.announce();
  vi.advanceTimersByTime(LEARN_MS - 1);
  expect(announced).toBe(0);
  vi.advanceTimersByTime(1 + LEARN_OUTDONE_MS_MAX);
  expect(announced).toBe(1);
});

test("who was shown that it wrote more waits until that has come", () => {
  isOutdone = true;
  learning(true).announce();
  vi.advanceTimersByTime(LEARN_MS + LEARN_LOOK_MS);
  expect(announced).toBe(0);
  isOutdone = false;
  vi.advanceTimersByTime(LEARN_LOOK_MS);
  expect(announced).toBe(1);
});

test("but not for ever: whoever showed it may be gone", () => {
  isOutdone = true;
  learning(true).announce();
  vi.advanceTimersByTime(LEARN_OUTDONE_MS_MAX);
  expect(announced).toBe(1);
});

test("who is stopped while it waits does not announce itself", () => {
  const one = learning(true);
  one.announce();
  one.stop();
  vi.advanceTimersByTime(LEARN_OUTDONE_MS_MAX);
  expect(announced).toBe(0);
});
