import { describe, expect, it, test } from "vitest";
import { element, logScale, logTicks, roundOut, tickMs } from "./svg.ts";

test("element() escapes what its attributes say and rounds figures", () => {
  expect(element("text", { x: 1.26, class: 'a"<' }, "5")).toBe('<text x="1.3" class="a&quot;&lt;">5</text>');
});

describe("logScale()", () => {
  const scale = logScale({ from: 1, to: 100 }, { start: 0, end: 200 });
  it("gives each power of ten the same room, and keeps what lies outside on the border", () => {
    expect([1, 10, 100, 0.1, 1_000].map((value) => Math.round(scale(value)))).toEqual([0, 100, 200, 0, 200]);
  });
});

test("logTicks() are 1, 2 and 5 of each power of ten within", () => {
  expect(logTicks({ from: 0.5, to: 20 })).toEqual([0.5, 1, 2, 5, 10, 20]);
});

test("roundOut() is the next such figure outside", () => {
  expect([roundOut(3.2, "down"), roundOut(3.2, "up"), roundOut(5, "up"), roundOut(812, "up")]).toEqual([
    2, 5, 5, 1_000,
  ]);
});

test("tickMs() says seconds from a second on", () => {
  expect([0.5, 20, 2_000].map(tickMs)).toEqual(["0.5 ms", "20 ms", "2 s"]);
});
