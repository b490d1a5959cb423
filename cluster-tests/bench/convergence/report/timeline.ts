// Timeline: each write of one round, when it was committed and how long it took until the last proxy routed by it.

import type { JudgedWrite } from "../judge.ts";
import { element, logScale, logTicks, roundOut, type Scale, tickMs } from "./svg.ts";

const [WIDTH, HEIGHT] = [920, 150];
const FRAME = { left: 64, right: 24, top: 12, bottom: 24 };
const LABELLED_SECONDS = 5;

export interface TimelineInput {
  readonly writes: readonly JudgedWrite[];
  readonly seconds: number;
  /** Of all rounds, so that they can be compared. */
  readonly range: { readonly from: number; readonly to: number };
}

export function timeline({ writes, seconds, range }: TimelineInput): string {
  const y = logScale(range, { start: HEIGHT - FRAME.bottom, end: FRAME.top });
  const x = (ms: number): number =>
    FRAME.left + (ms / (seconds * 1_000)) * (WIDTH - FRAME.left - FRAME.right);
  const dots = writes.map(({ atMs, lastMs }) => {
    if (lastMs === null) return element("text", { x: x(atMs), y: FRAME.top + 6, class: "lost middle" }, "✕");
    return element("circle", { cx: x(atMs), cy: y(lastMs), r: 2.4, class: "dot" });
  });
  return element(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": "each write over time" },
    ...latencyAxis(y),
    ...secondsAxis(x, seconds),
    ...dots,
  );
}

/** Round figures around all that is shown; a decade at least. */
export function timelineRange(writes: readonly JudgedWrite[]): {
  readonly from: number;
  readonly to: number;
} {
  const all = writes.flatMap(({ lastMs }) => lastMs ?? []);
  const [least, most] = [Math.min(...all, 1_000), Math.max(...all, 1)];
  const from = roundOut(Math.max(0.1, least), "down");
  return { from, to: Math.max(from * 10, roundOut(most, "up")) };
}

function latencyAxis(y: Scale): readonly string[] {
  const ticks = logTicks(y);
  const shown = ticks.length > 6 ? ticks.filter((tick) => String(tick).replace(/[0.]/g, "") === "1") : ticks;
  return shown.map((tick) =>
    [
      element("line", { x1: FRAME.left, x2: WIDTH - FRAME.right, y1: y(tick), y2: y(tick), class: "grid" }),
      element("text", { x: FRAME.left - 8, y: y(tick) + 4, class: "tick end" }, tickMs(tick)),
    ].join(""),
  );
}

function secondsAxis(x: (ms: number) => number, seconds: number): readonly string[] {
  const step = seconds <= 10 ? 1 : LABELLED_SECONDS * Math.ceil(seconds / 60);
  const ticks = Array.from({ length: Math.floor(seconds / step) + 1 }, (_, at) => at * step);
  return ticks.map((second) =>
    element("text", { x: x(second * 1_000), y: HEIGHT - 6, class: "tick middle" }, `${second} s`),
  );
}
