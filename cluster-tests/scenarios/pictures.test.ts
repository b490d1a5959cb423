// The pictures of the pages: what makes them still makes one, of the course that has most in it: a preview, a person's word, an old VM that is kept.

import { expect, test } from "vitest";
import { areApart, boxOf } from "../docs/pictures/label.ts";
import { picture } from "../docs/pictures/picture.ts";
import { recordRun } from "../docs/pictures/record-run.ts";

test("a bluegreen deploy under load is recorded and drawn", async () => {
  const run = await recordRun("bluegreen");
  expect(run.story.steps.map(({ kind }) => kind)).toEqual(["start", "standby", "approve", "flip"]);
  expect(run.previews.map(({ vm }) => vm)).toEqual(["hello-v2-1", "hello-v2-1", "hello-v2-1"]);
  const [old, fresh] = ["v1", "v2"].map((release) =>
    run.requests.filter((one) => one.release === release).flatMap(({ atMs }) => atMs),
  );
  expect(old).not.toEqual([]);
  const { afterMs: flippedMs, asked } = run.story.steps[3] ?? {};
  const closedMs = (flippedMs ?? 0) + (asked?.find(({ kind }) => kind === "gate")?.ms ?? 0);
  expect(old?.filter((ms) => ms > closedMs)).toEqual([]);
  expect(fresh?.filter((ms) => ms < (flippedMs ?? 0))).toEqual([]);
  const { labels, svg } = picture(run);
  const boxes = labels.map(boxOf);
  expect(boxes.filter((one, at) => boxes.slice(at + 1).some((other) => !areApart(one, other)))).toEqual([]);
  expect(svg).toContain(`Run ${run.id}`);
});
