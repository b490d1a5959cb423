// Setup: before the container tests: finds the engine and builds the image once. Without an engine they are skipped, and why is
// said; in CI that is a failure, since a test that nobody runs holds nothing.

import { fileURLToPath } from "node:url";
import type { TestProject } from "vitest/node";
import { startCommand } from "../command.ts";
import { whyNoEngine } from "./engine.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Id of the image of this source; null: no engine answers, and container tests are skipped. */
    readonly image: string | null;
  }
}

const BUILD_IMAGE = fileURLToPath(new URL("../../../docker/build-image", import.meta.url));

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

/** By id, not by name: another checkout may build under the same name meanwhile. */
async function buildImage(): Promise<string> {
  const { code, stdout, stderr } = await startCommand(BUILD_IMAGE, [], { input: "" }).result;
  if (code !== 0) throw new Error(`docker/build-image: exit code ${code}\n${stderr}`);
  return stdout.trim();
}
