// Picture: a recorded run as an SVG. Time runs to the right, step by step; below each other: the VM that leaves, its gate, the proxies with each
// request that they were sent, the VM that comes, what share of the requests each release answered, and what each step waited for.

import { formatDuration } from "../../../node/cli/table.ts";
import type { StepStory } from "../../../node/deploy/story-view.ts";
import { element } from "../../bench/convergence/report/svg.ts";
import { type Label, labelElement, textWidth, wrapped } from "./label.ts";
import { lanesOf } from "./lanes.ts";
import { diamond, type Part } from "./part.ts";
import { beganMs, tookMs } from "./phases.ts";
import type { RecordedRun } from "./recorded-run.ts";
import { sharesPart } from "./shares.ts";
import { describeSteps, stepName, waits } from "./step-words.ts";
import { STYLE } from "./style.ts";
import { type TimeAxis, timeAxis } from "./time-axis.ts";

export interface Picture {
  readonly svg: string;
  readonly labels: readonly Label[];
  readonly width: number;
  readonly height: number;
}

const WIDTH = 1000;
const MARGIN = 18;
/** Names of lanes are left of it. */
const LANES_LEFT = 148;
/** What is shown of the time before the rollout and after it, milliseconds. */
const AROUND_MS = 250;
const TOP = 84;

export function picture(run: RecordedRun): Picture {
  const axis = axisOf(run);
  const head = headPart(run);
  const lanes = lanesOf(run, axis, { top: TOP + 42, nameRight: LANES_LEFT - 10 });
  const shares = sharesPart(run, axis, { top: lanes.bottom + 10, nameRight: LANES_LEFT - 10 });
  const steps = stepsPart(run, axis, shares.bottom);
  const legend = legendPart(run, steps.bottom + 26);
  const list = listPart(run, legend.bottom + 16);
  const foot = footPart(run, list.bottom + 14);
  const parts = [steps, head, lanes, shares, legend, list, foot];
  const height = Math.ceil(foot.bottom + MARGIN);
  const labels = parts.flatMap((part) => part.labels);
  const shapes = parts.flatMap((part) => part.shapes);
  return {
    svg: document(run, height, [...shapes, ...labels.map(labelElement)]),
    labels,
    width: WIDTH,
    height,
  };
}

function axisOf({ story }: RecordedRun): TimeAxis {
  const endMs = tookMs(story);
  const borders = [-AROUND_MS, ...story.steps.map(beganMs), endMs, endMs + AROUND_MS];
  const names = story.steps.map((step) => textWidth(bandName(step), BAND_NAME) + 4);
  const around = textWidth("before", BAND_TIME) + 4;
  const widthsMin = [around, ...names, around];
  return timeAxis(borders, { left: LANES_LEFT, right: WIDTH - MARGIN, widthsMin });
}

const BAND_NAME = { size: 13, isBold: true, anchor: "middle" } as const;
const BAND_TIME = { size: 12, anchor: "middle", look: "soft" } as const;

function bandName({ number, kind }: StepStory): string {
  return `${number} ${kind}`;
}

function document(run: RecordedRun, height: number, children: readonly string[]): string {
  const box = {
    xmlns: "http://www.w3.org/2000/svg",
    viewBox: `0 0 ${WIDTH} ${height}`,
    width: WIDTH,
    height,
  };
  const text = (name: string, words: string) => element(name, { id: name }, words.replaceAll("&", "&amp;"));
  const paper = { x: 0.5, y: 0.5, width: WIDTH - 1, height: height - 1, rx: 8, class: "paper" };
  const svg = element(
    "svg",
    { ...box, role: "img", "aria-labelledby": "title desc" },
    text("title", titleOf(run)),
    text("desc", `${describeSteps(run.story)} ${footText(run)}`),
    element("style", {}, STYLE),
    element("rect", paper),
    ...children.map((child) => `\n${child}`),
  );
  return `${svg}\n`;
}

function titleOf({ strategy, story }: RecordedRun): string {
  return `${strategy}: ${story.app} goes from ${story.from} to ${story.to}, with one VM`;
}

function headPart(run: RecordedRun): Part {
  const { story } = run;
  const sub = `${formatDuration(tookMs(story))} from the commit that begins it to the one that ends it; ${run.failed} requests failed`;
  const labels: Label[] = [
    { x: MARGIN, y: 34, text: titleOf(run), size: 19, isBold: true },
    { x: MARGIN, y: 56, text: sub, size: 13, look: "soft" },
  ];
  return { shapes: [], labels, bottom: TOP };
}

/** A band for each step over all lanes, its name above, and below it the time at which it began. */
function stepsPart({ story }: RecordedRun, axis: TimeAxis, bottom: number): Part {
  const [before, after] = [axis.spans[0], axis.spans.at(-1)];
  const spans = axis.spans.slice(1, -1);
  const bands = spans.map(({ left, right }, index) => {
    const place = { x: left, y: TOP, width: right - left, height: bottom - TOP };
    return index % 2 === 0 ? element("rect", { ...place, class: "band" }) : "";
  });
  const lines = [...spans, after].map((span) => {
    const x = span?.left ?? 0;
    return element("line", { x1: x, x2: x, y1: TOP, y2: bottom + 5, class: "line" });
  });
  const middle = (span: { readonly left: number; readonly right: number } | undefined) =>
    ((span?.left ?? 0) + (span?.right ?? 0)) / 2;
  const names = spans.flatMap((span, index): readonly Label[] => {
    const step = story.steps[index];
    if (step === undefined) return [];
    const took = formatDuration(step.waitedMs);
    return [
      { x: middle(span), y: TOP + 17, text: bandName(step), ...BAND_NAME },
      { x: middle(span), y: TOP + 33, text: took, ...BAND_TIME },
    ];
  });
  const times = [...spans, after].map((span): Label => {
    return { x: span?.left ?? 0, y: bottom + 18, text: timeText(span?.fromMs ?? 0), ...BAND_TIME };
  });
  const around: readonly Label[] = [
    { x: middle(before), y: TOP + 17, text: "before", ...BAND_TIME },
    { x: middle(after), y: TOP + 17, text: "after", ...BAND_TIME },
  ];
  return { shapes: [...bands, ...lines], labels: [...names, ...times, ...around], bottom: bottom + 18 };
}

/** Steps may be milliseconds long after many seconds. */
function timeText(ms: number): string {
  return ms < 1_000 ? formatDuration(ms) : `${(ms / 1_000).toFixed(2)} s`;
}

type LegendMark = "old" | "fresh" | "ack" | "wait" | "preview";

function legendPart({ story, previews }: RecordedRun, y: number): Part {
  const words: Readonly<Partial<Record<LegendMark, string>>> = {
    old: `a request as it reached ${story.from}`,
    fresh: `as it reached ${story.to}`,
    ack: "answer to what the step asks",
    wait: "gets no new requests",
    ...(previews.length === 0 ? {} : { preview: "by the preview name" }),
  };
  const shapes: string[] = [];
  const labels: Label[] = [];
  let x = MARGIN;
  for (const [mark, text] of Object.entries(words)) {
    shapes.push(legendMark(mark as LegendMark, x, y));
    labels.push({ x: x + 22, y, text, size: 12, look: "soft" });
    x += 38 + textWidth(text, { size: 12 });
  }
  return { shapes, labels, bottom: y };
}

function legendMark(mark: LegendMark, x: number, y: number): string {
  if (mark === "ack") return diamond(x + 10, y - 4);
  if (mark === "preview") return element("circle", { cx: x + 10, cy: y - 4, r: 3.5, class: "ticks fresh" });
  if (mark === "wait")
    return element("rect", { x: x + 2, y: y - 10, width: 15, height: 12, rx: 2, class: "old wait" });
  return element("path", { d: `M${x + 10} ${y - 10}v12`, class: `ticks ${mark}` });
}

const LINE_HEIGHT = 17;

/** What each step waited for, in words. */
function listPart({ story }: RecordedRun, top: number): Part {
  const labels: Label[] = [
    { x: MARGIN, y: top + 12, text: "What each step waited for", size: 13, isBold: true },
  ];
  let y = top + 12;
  for (const step of story.steps) {
    const lines = waits(step).flatMap((text) => wrapped(text, 12.5, WIDTH - MARGIN - LANES_LEFT - 40));
    labels.push({ x: MARGIN, y: y + LINE_HEIGHT + 3, text: stepName(step), size: 12.5, isBold: true });
    y += 3;
    for (const text of lines) {
      y += LINE_HEIGHT;
      labels.push({ x: LANES_LEFT + 40, y, text, size: 12.5 });
    }
  }
  return { shapes: [], labels, bottom: y };
}

function footText({ id, story, cluster, ratePerSecond, answerMs, requests }: RecordedRun): string {
  const count = requests.reduce((sum, { atMs }) => sum + atMs.length, 0);
  const date = new Date(story.startedAtMs).toISOString().slice(0, 16).replace("T", " ");
  return [
    `Run ${id} of ${date}Z: ${cluster.hosts} agents with their gates and ${cluster.proxies} proxies, as processes of one machine.`,
    `${ratePerSecond} requests a second, as many through each proxy, each answered after ${answerMs} ms; ${count} of them are shown.`,
    "Time runs evenly within a step; each step has at least the width of its name.",
  ].join(" ");
}

function footPart(run: RecordedRun, top: number): Part {
  const lines = wrapped(footText(run), 11.5, WIDTH - 2 * MARGIN);
  const labels = lines.map((text, index): Label => {
    return { x: MARGIN, y: top + 12 + index * 15, text, size: 11.5, look: "soft" };
  });
  return { shapes: [], labels, bottom: top + 12 + (lines.length - 1) * 15 };
}
