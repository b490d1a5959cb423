// Setup: before the container tests: finds the engine and builds the image once. Without an engine they are skipped, and why is
// said; in CI that is a failure, since a test that nobody runs holds nothing.

import type { TestProject } from "vitest/node";
import { whyNoEngine } from "./engine.ts";
import { buildImage } from "./image.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Id of the image of this source; null: no engine answers, and container tests are skipped. */
    readonly image: string | null;
  }
}

export default async function setup(project: TestProject): Promise<void> {
  const why = await whyNoEngine();
  if (why !== null) {
    const advice = `no Docker engine answers (${why}); docker/start-engine starts one`;
    if (process.env["CI"] === "true") throw new Error(`container tests must run in CI: ${advice}`);
    process.stdout.write(`Container tests are skipped: ${advice}.\n`);
    project.provide("image", null);
    return;
  }
  project.provide("image", await buildImage());
}
