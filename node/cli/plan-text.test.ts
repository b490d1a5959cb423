import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { specOf } from "../deploy/testing/specs.ts";
import { answerAll, beginStory, STORIES } from "../deploy/testing/stories.ts";
import { planText } from "./plan-text.ts";

// Golden files: `REWRITE=1` and then `npm run format` write them anew; read the diff before you keep it.
const FOLDER = join(import.meta.dirname, "testdata", "plans");

function expectGolden(name: string, text: string, view: object): void {
  const [textPath, jsonPath] = [join(FOLDER, `${name}.txt`), join(FOLDER, `${name}.json`)];
  if (process.env["REWRITE"] === "1") {
    writeFileSync(textPath, text);
    writeFileSync(jsonPath, `${JSON.stringify(view, null, 2)}\n`);
  }
  expect(text).toBe(readFileSync(textPath, "utf8"));
  expect(view).toEqual(JSON.parse(readFileSync(jsonPath, "utf8")));
}

describe("deploy --plan", () => {
  for (const story of STORIES) {
    it(`says of ${story.name} what its golden files say, and the deploy takes these steps`, () => {
      const world = beginStory(story);
      const before = world.committed;
      const spec = specOf("hello", story.next);
      const plan = world.plan(spec, "next");
      expect(world.committed, "a plan changes nothing").toBe(before);
      expectGolden(story.name, planText(plan), plan);
      world.submit(spec, "next");
      answerAll(world);
      const { state, history } = world.committed?.record.rollout ?? {};
      expect(state).toBe("succeeded");
      const taken = history?.map(({ number, kind, vms }) => ({ number, kind, vms }));
      expect(plan.steps.map(({ number, kind, vms }) => ({ number, kind, vms }))).toEqual(taken);
    });
  }
});
