import { readFileSync } from "node:fs";
import { describe, expect, it, test } from "vitest";
import { parseAppFile } from "../../../node/config/app-file.ts";
import { STRATEGIES } from "../../../node/deploy/core/strategies/index.ts";
import type { AskView } from "../../../node/deploy/plan-view.ts";
import { specOf } from "../../../node/deploy/testing/specs.ts";
import { answerAll, beginStory } from "../../../node/deploy/testing/stories.ts";
import { areApart, boxOf, type Label, textWidth, wrapped } from "./label.ts";
import { picture } from "./picture.ts";
import { picturePath, type RecordedRun, readRun, STRATEGY_NAMES } from "./recorded-run.ts";
import { timeAxis } from "./time-axis.ts";

const REPAIR = "`npm run docs:pictures` makes the pictures anew";

/** The deploy of a run, as the strategy is now: an app of one VM behind a gate, with two proxies. */
function planned({ appFile, strategy }: RecordedRun) {
  const file = parseAppFile("app.toml", appFile.join("\n"));
  if (!file.ok) throw new Error(JSON.stringify(file.error));
  const world = beginStory({ name: strategy, isGated: true, before: {}, next: {} });
  answerAll(world);
  return world.plan(specOf("hello", { deploy: file.value.deploy }), "next").steps;
}

/** Where a VM was placed is the run's own. */
function wanted({ kind, what }: AskView): string {
  return `${kind}: ${what.replace(/ on host-\d+$/, "")}`;
}

interface ToldStep {
  readonly kind: string;
  readonly vms: readonly string[];
  readonly serves: readonly string[];
  readonly weights: unknown;
}

function told({ kind, vms, serves, weights }: ToldStep, asks: readonly AskView[]): object {
  return { kind, vms, serves, weights, asks: asks.map(wanted) };
}

function crossing(labels: readonly Label[]): readonly string[] {
  const boxes = labels.map((label) => ({ text: label.text, box: boxOf(label) }));
  return boxes.flatMap((one, index) =>
    boxes
      .slice(index + 1)
      .filter((other) => !areApart(one.box, other.box))
      .map((other) => `${one.text} | ${other.text}`),
  );
}

test("there is a picture of each strategy but handoff", () => {
  expect([...STRATEGY_NAMES, "handoff"].sort()).toEqual(Object.keys(STRATEGIES).sort());
});

describe.each(STRATEGY_NAMES)("the picture of %s", (strategy) => {
  const run = readRun(strategy);
  const drawn = picture(run);

  it("shows the steps that the strategy has now, and whom each asks", () => {
    const steps = run.story.steps.map((step) => told(step, step.asked ?? []));
    expect(steps, REPAIR).toEqual(planned(run).map((step) => told(step, step.asks)));
  });

  it("is what is drawn from its run, the same each time", () => {
    expect(picture(run).svg).toBe(drawn.svg);
    expect(
      readFileSync(picturePath(strategy), "utf8"),
      `${REPAIR}, or with \`-- --draw\` only draws them`,
    ).toBe(drawn.svg);
    expect(Buffer.byteLength(drawn.svg)).toBeLessThan(40_000);
  });

  it("is of a deploy that failed no request", () => {
    expect(run.story.state).toBe("succeeded");
    expect(run.failed).toBe(0);
    for (const { proxy, release, atMs } of run.requests)
      expect(atMs.length, `${proxy} to ${release}`).toBeGreaterThan(0);
  });

  it("shows no request at the new VM before it serves, and none at the old one after its gate has closed", () => {
    const serves = run.story.steps.find(({ kind }) => kind === "serve" || kind === "flip");
    const leaves = run.story.steps.find(({ kind }) => kind === "cordon" || kind === "flip");
    const gate = leaves?.asked?.find(({ kind }) => kind === "gate");
    const closedMs = (leaves?.afterMs ?? 0) + (gate?.ms ?? 0);
    const [old, fresh] = ["v1", "v2"].map((release) =>
      run.requests.filter((one) => one.release === release).flatMap(({ atMs }) => atMs),
    );
    expect(Math.min(...(fresh ?? []))).toBeGreaterThanOrEqual(serves?.afterMs ?? 0);
    expect(Math.max(...(old ?? []))).toBeLessThanOrEqual(closedMs);
  });

  it("has no two texts upon each other, and none beyond its border", () => {
    expect(crossing(drawn.labels)).toEqual([]);
    const boxes = drawn.labels.map((label) => ({ text: label.text, ...boxOf(label) }));
    const isOutside = ({ left, right, top, bottom }: (typeof boxes)[number]) =>
      left < 0 || top < 0 || right > drawn.width || bottom > drawn.height;
    expect(boxes.filter(isOutside)).toEqual([]);
  });

  it("tells those who cannot see it each step and what it waited for", () => {
    const [, title = "", description = ""] =
      /<title id="title">(.*)<\/title><desc id="desc">(.*)<\/desc>/.exec(drawn.svg) ?? [];
    expect(title).toContain(`${strategy}: hello goes from v1 to v2`);
    for (const { number, kind } of run.story.steps) expect(description).toContain(`Step ${number} ${kind}`);
  });
});

describe("timeAxis()", () => {
  const axis = timeAxis([0, 10, 110], { left: 100, right: 320, widthsMin: [50, 60] });
  it("gives each span its least width, and the rest by time", () => {
    expect(axis.spans.map(({ left, right }) => right - left)).toEqual([60, 160]);
  });
  it("runs evenly within a span, and ends at the borders", () => {
    expect([-5, 0, 5, 10, 60, 110, 500].map((ms) => axis.at(ms))).toEqual([
      100, 100, 130, 160, 240, 320, 320,
    ]);
  });
  it("refuses what does not fit", () => {
    expect(() => timeAxis([0, 10], { left: 0, right: 20, widthsMin: [30] })).toThrow(/no room/);
  });
});

describe("labels", () => {
  it("that touch are apart, and that share a place are not", () => {
    const one: Label = { x: 0, y: 10, text: "abc", size: 10 };
    const right = { ...one, x: textWidth("abc", one) };
    expect(areApart(boxOf(one), boxOf(right))).toBe(true);
    expect(areApart(boxOf(one), boxOf({ ...right, x: right.x - 1 }))).toBe(false);
    expect(crossing([one, { ...one, y: 15, text: "below" }])).toEqual(["abc | below"]);
  });
  it("are broken between words", () => {
    expect(wrapped("one two three", 10, textWidth("one two", { size: 10 }))).toEqual(["one two", "three"]);
  });
});
