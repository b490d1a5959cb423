// Shares: of the requests in each short while, how many reached the new release. No while lies across the border of two steps.

import { element } from "../../bench/convergence/report/svg.ts";
import type { Label } from "./label.ts";
import type { Frame, Part } from "./part.ts";
import type { RecordedRun } from "./recorded-run.ts";
import type { Span, TimeAxis } from "./time-axis.ts";

const HEIGHT = 70;
/** A while is at least so wide, and has so many requests at least, if its step has. */
const WHILE_WIDTH_MIN = 12;
const WHILE_REQUESTS = 8;

export function sharesPart(run: RecordedRun, axis: TimeAxis, { top, nameRight }: Frame): Part {
  const bottom = top + HEIGHT;
  const whiles = axis.spans.flatMap((span) => whilesOf(span, run));
  const known = whiles.flatMap((span): readonly Known[] => {
    const share = shareOfNew(run, span);
    return share === null ? [] : [{ ...span, share }];
  });
  const name = { x: nameRight, anchor: "end", size: 12.5 } as const;
  const labels: readonly Label[] = [
    { ...name, y: top + 14, text: "requests", isBold: true },
    { ...name, y: top + 31, text: `to ${run.story.to}`, size: 11.5, look: "soft" },
    { ...name, y: bottom - 6, text: `to ${run.story.from}`, size: 11.5, look: "soft" },
    ...shareLabels(run, axis, top),
  ];
  return { shapes: areas(known, top), labels, bottom };
}

interface Known extends Span {
  readonly share: number;
}

/** The old release's below, the new one's hangs from above; where nobody asked there is neither. */
function areas(known: readonly Known[], top: number): readonly string[] {
  const box = ({ left, right }: Known, from: number, to: number): string =>
    to - from < 0.05 ? "" : `M${tenth(left)} ${tenth(from)}H${tenth(right)}V${tenth(to)}H${tenth(left)}z`;
  const edge = (one: Known): number => top + HEIGHT * one.share;
  const paths = {
    old: known.map((one) => box(one, edge(one), top + HEIGHT)),
    fresh: known.map((one) => box(one, top, edge(one))),
  };
  return Object.entries(paths).map(([look, boxes]) =>
    element("path", { d: boxes.join(""), class: look, "stroke-width": 0 }),
  );
}

function tenth(value: number): number {
  return Math.round(value * 10) / 10;
}

/** In the middle of each step what share of the requests reached the new release. */
function shareLabels(run: RecordedRun, axis: TimeAxis, top: number): readonly Label[] {
  return axis.spans.flatMap((span): readonly Label[] => {
    const share = shareOfNew(run, span);
    if (share === null) return [];
    const text = `${Math.round(100 * share)} %`;
    return [{ x: (span.left + span.right) / 2, y: top + HEIGHT / 2 + 4, text, size: 12, anchor: "middle" }];
  });
}

/** Even ones, of which those with too few requests go with the next, and the last with the one before. */
function whilesOf(span: Span, run: RecordedRun): readonly Span[] {
  const ms = span.toMs - span.fromMs;
  const width = span.right - span.left;
  const count = Math.max(1, Math.floor(width / WHILE_WIDTH_MIN));
  const even = Array.from({ length: count }, (_, index) => ({
    fromMs: span.fromMs + (ms * index) / count,
    toMs: span.fromMs + (ms * (index + 1)) / count,
    left: span.left + (width * index) / count,
    right: span.left + (width * (index + 1)) / count,
  }));
  const joined: Span[] = [];
  for (const one of even) {
    const last = joined.at(-1);
    const isFull = last === undefined || requestsIn(run, last) >= WHILE_REQUESTS;
    if (isFull) joined.push(one);
    else joined[joined.length - 1] = { ...last, toMs: one.toMs, right: one.right };
  }
  const [before, last] = joined.slice(-2);
  if (before === undefined || last === undefined || requestsIn(run, last) >= WHILE_REQUESTS) return joined;
  return [...joined.slice(0, -2), { ...before, toMs: last.toMs, right: last.right }];
}

function requestsIn({ requests }: RecordedRun, { fromMs, toMs }: Span): number {
  return requests.reduce((sum, one) => sum + countIn(one.atMs, { fromMs, toMs }), 0);
}

function countIn(times: readonly number[], { fromMs, toMs }: Pick<Span, "fromMs" | "toMs">): number {
  return times.filter((ms) => ms >= fromMs && ms < toMs).length;
}

/** Null: nobody asked. */
function shareOfNew({ requests, story }: RecordedRun, span: Span): number | null {
  const countOf = (release: string | null): number =>
    requests.filter((one) => one.release === release).reduce((sum, { atMs }) => sum + countIn(atMs, span), 0);
  const [old, fresh] = [countOf(story.from), countOf(story.to)];
  return old + fresh === 0 ? null : fresh / (old + fresh);
}
