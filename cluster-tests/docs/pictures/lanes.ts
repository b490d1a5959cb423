// Lanes: the VM that leaves, the gate before it, the proxies, and the VM that comes, below each other.

import type { AskedView } from "../../../node/deploy/story-view.ts";
import { element } from "../../bench/convergence/report/svg.ts";
import { type Label, textWidth } from "./label.ts";
import { diamond, type Frame, type Part } from "./part.ts";
import { beganMs, type Phase, phasesOfGate, phasesOfVm } from "./phases.ts";
import type { RecordedRun } from "./recorded-run.ts";
import type { TimeAxis } from "./time-axis.ts";

type Look = "old" | "fresh";

const LANE_HEIGHT = 26;
const LANE_STEP = 38;

export function lanesOf(run: RecordedRun, axis: TimeAxis, { top, nameRight }: Frame): Part {
  const { story, hosts } = run;
  const [oldVm, newVm] = [vmOf(run, story.from), vmOf(run, story.to)];
  const untilMs = axis.spans.at(-1)?.toMs ?? 0;
  const proxies = [...new Set(run.requests.map(({ proxy }) => proxy))];
  const lanes: readonly Lane[] = [
    { name: oldVm, under: `on ${hosts[oldVm]}`, ...bars(phasesOfVm(story, oldVm, untilMs), "old", axis) },
    { name: `gate of ${hosts[oldVm]}`, under: "", ...bars(phasesOfGate(story, oldVm, untilMs), "old", axis) },
    ...proxies.map((proxy) => ({ name: proxy, under: "", ...requestMarks(run, proxy, axis) })),
    { name: newVm, under: `on ${hosts[newVm]}`, ...bars(phasesOfVm(story, newVm, untilMs), "fresh", axis) },
  ];
  const whoOf = [oldVm, hosts[oldVm], ...proxies, newVm];
  const drawn = lanes.map((lane, index) => {
    const y = top + index * LANE_STEP;
    const kind = index === 1 ? "gate" : undefined;
    const acks = answersOf(run, { who: whoOf[index] ?? "", kind }).map((ms) =>
      diamond(axis.at(ms), y + LANE_HEIGHT),
    );
    return drawLane(lane, { y, nameRight, acks });
  });
  return {
    shapes: drawn.flatMap(({ shapes }) => shapes),
    labels: drawn.flatMap(({ labels }) => labels),
    bottom: top + lanes.length * LANE_STEP,
  };
}

/** Shapes and labels as if the lane were at the top. */
interface Lane {
  readonly name: string;
  readonly under: string;
  readonly draw: (y: number) => readonly string[];
  readonly labels: readonly Omit<Label, "y">[];
}

function drawLane(
  { name, under, draw, labels }: Lane,
  {
    y,
    nameRight,
    acks,
  }: { readonly y: number; readonly nameRight: number; readonly acks: readonly string[] },
): Pick<Part, "shapes" | "labels"> {
  const nameY = under === "" ? y + 17 : y + 11;
  const names: readonly Label[] = [
    { x: nameRight, y: nameY, text: name, size: 12.5, isBold: true, anchor: "end" },
    ...(under === ""
      ? []
      : [{ x: nameRight, y: y + 25, text: under, size: 11.5, anchor: "end", look: "soft" } as const]),
  ];
  return {
    shapes: [...draw(y), ...acks],
    labels: [...names, ...labels.map((label) => ({ ...label, y: y + 17 }))],
  };
}

function vmOf({ story, hosts }: RecordedRun, release: string | null): string {
  const vm = Object.keys(hosts).find((name) => name.startsWith(`${story.app}-${release}-`));
  if (vm === undefined) throw new Error(`the run has no VM of ${release}`);
  return vm;
}

/** When it answered a step, as the driver heard it. */
function answersOf(
  { story }: RecordedRun,
  { who, kind }: { readonly who: string; readonly kind: AskedView["kind"] | undefined },
): readonly number[] {
  return story.steps.flatMap((step) => {
    const isMeant = (one: AskedView) => one.who === who && (kind === undefined || one.kind === kind);
    const own = (step.asked ?? []).filter(isMeant).flatMap(({ ms }) => ms ?? []);
    return own.length === 0 ? [] : [beganMs(step) + Math.max(...own)];
  });
}

function bars(phases: readonly Phase[], look: Look, axis: TimeAxis): Pick<Lane, "draw" | "labels"> {
  const placed = phases.map((phase) => ({
    ...phase,
    left: axis.at(phase.fromMs),
    right: axis.at(phase.toMs),
  }));
  const draw = (y: number): readonly string[] =>
    placed.map(({ kind, left, right }) => {
      const place = { x: left, y, width: Math.max(1, right - left), height: LANE_HEIGHT, rx: 3 };
      return element("rect", { ...place, class: barLook(kind, look) });
    });
  const labels = placed.flatMap(({ words, left, right }): readonly Omit<Label, "y">[] => {
    const fits = textWidth(words, { size: 12 }) + 2 <= right - left;
    return fits ? [{ x: (left + right) / 2, text: words, size: 12, anchor: "middle" }] : [];
  });
  return { draw, labels };
}

/** Full colour: requests reach it. Dashed: not yet, or no more. */
function barLook(kind: Phase["kind"], look: Look): string {
  switch (kind) {
    case "serving":
      return look;
    case "draining":
      return `${look} wait`;
    case "starting":
    case "healthy":
    case "standby":
      return `${look} wait`;
    case "closed":
    case "stopping":
      return "quiet";
  }
}

/** One for each request, where it reached its VM. */
function requestMarks(
  { requests, previews, story }: RecordedRun,
  proxy: string,
  axis: TimeAxis,
): Pick<Lane, "draw" | "labels"> {
  const draw = (y: number): readonly string[] => [
    ...requests
      .filter((one) => one.proxy === proxy)
      .map(({ release, atMs }) => {
        const isNew = release === story.to;
        return element("path", {
          d: marksPath(atMs, axis, isNew ? y + 14 : y),
          class: `ticks ${isNew ? "fresh" : "old"}`,
        });
      }),
    ...previews
      .filter((one) => one.proxy === proxy)
      .map(({ atMs }) => element("circle", { cx: axis.at(atMs), cy: y + 20, r: 3.5, class: "ticks fresh" })),
  ];
  return { draw, labels: [] };
}

/** Of those that fall together one. */
function marksPath(atMs: readonly number[], axis: TimeAxis, y: number): string {
  const places = [...new Set(atMs.map((ms) => Math.round(axis.at(ms) * 2) / 2))];
  return places.map((x) => `M${x} ${y}v12`).join("");
}
