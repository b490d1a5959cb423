// Distribution: what share of the writes had arrived by then. Time is logarithmic, and the share is stretched towards its end, so
// that the slowest hundredth, which is what people notice, has as much room as the fastest half.

import { element, logScale, logTicks, roundOut, type Scale, tickMs } from "./svg.ts";

export interface Curve {
  readonly name: string;
  /** Its class in the style sheet: colour and dashes. */
  readonly look: string;
  readonly figuresMs: readonly number[];
}

const [WIDTH, HEIGHT] = [920, 420];
const FRAME = { left: 64, right: 24, top: 16, bottom: 44 };
/** Shares with a line and a label. */
const SHARES: readonly (readonly [share: number, label: string])[] = [
  [0, "0 %"],
  [0.5, "50 %"],
  [0.9, "90 %"],
  [0.99, "99 %"],
  [0.999, "99.9 %"],
  [0.9999, "99.99 %"],
];
/** Points of one curve: more cannot be seen. */
const POINTS_MAX = 400;

export function distributionPlot(curves: readonly Curve[]): string {
  const shown = curves.filter(({ figuresMs }) => figuresMs.length > 0);
  const all = shown.flatMap(({ figuresMs }) => figuresMs).map((ms) => Math.max(ms, 0.05));
  if (all.length === 0) return "";
  const range = { from: roundOut(min(all), "down"), to: roundOut(max(all), "up") };
  const x = logScale(range, { start: FRAME.left, end: WIDTH - FRAME.right });
  const largest = Math.max(...shown.map(({ figuresMs }) => figuresMs.length));
  const y = shareScale(1 - 1 / Math.max(2, largest));
  return element(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": "distribution of latencies" },
    ...timeAxis(x),
    ...shareAxis(y, 1 - 1 / Math.max(2, largest)),
    ...shown.map((curve) => curvePath(curve, x, y)),
  );
}

/** Nines: 0 at the bottom, each further nine one step up. */
function shareScale(top: number): (share: number) => number {
  const nines = (share: number): number => -Math.log10(1 - Math.min(share, top));
  const height = HEIGHT - FRAME.top - FRAME.bottom;
  return (share) => HEIGHT - FRAME.bottom - (nines(share) / nines(top)) * height;
}

function curvePath({ look, name, figuresMs }: Curve, x: Scale, y: (share: number) => number): string {
  const sorted = figuresMs.toSorted((left, right) => left - right);
  const points = pick(sorted.length).map((at) => {
    const ms = Math.max(sorted[at] ?? 0, 0.05);
    return `${x(ms).toFixed(1)} ${y(at / sorted.length).toFixed(1)}`;
  });
  const d = `M${points.join("L")}`;
  return element("path", { d, class: `curve ${look}` }, element("title", {}, name));
}

/** Indices, densest at the end, where the plot is stretched. */
function pick(count: number): readonly number[] {
  if (count <= POINTS_MAX) return Array.from({ length: count }, (_, at) => at);
  const shares = Array.from({ length: POINTS_MAX }, (_, at) => 1 - count ** -(at / (POINTS_MAX - 1)));
  return [...new Set([...shares.map((share) => Math.floor(share * count)), count - 1])];
}

function timeAxis(x: Scale): readonly string[] {
  const bottom = HEIGHT - FRAME.bottom;
  const ticks = logTicks(x).map((tick) =>
    [
      element("line", { x1: x(tick), x2: x(tick), y1: FRAME.top, y2: bottom, class: "grid" }),
      element("text", { x: x(tick), y: bottom + 18, class: "tick middle" }, tickMs(tick)),
    ].join(""),
  );
  const label = element(
    "text",
    { x: (FRAME.left + WIDTH - FRAME.right) / 2, y: HEIGHT - 6, class: "label middle" },
    "from the write's commit",
  );
  return [...ticks, label];
}

function shareAxis(y: (share: number) => number, top: number): readonly string[] {
  return SHARES.filter(([share]) => share <= top).map(([share, label]) =>
    [
      element("line", { x1: FRAME.left, x2: WIDTH - FRAME.right, y1: y(share), y2: y(share), class: "grid" }),
      element("text", { x: FRAME.left - 8, y: y(share) + 4, class: "tick end" }, label),
    ].join(""),
  );
}

function min(figures: readonly number[]): number {
  return figures.reduce((least, figure) => Math.min(least, figure), Number.POSITIVE_INFINITY);
}

function max(figures: readonly number[]): number {
  return figures.reduce((most, figure) => Math.max(most, figure), 0);
}
