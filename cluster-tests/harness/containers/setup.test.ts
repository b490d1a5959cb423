// Where no engine answers, container tests are skipped and say why; in CI that is a failure.

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { TestProject } from "vitest/node";
import setup from "./setup.ts";

let provided: unknown[][];
let said: string;
beforeEach(() => {
  vi.stubEnv("DOCKER_HOST", "unix:///nobody/listens/here.sock");
  provided = [];
  said = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    said += String(text);
    return true;
  });
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

function start(): Promise<void> {
  const project = { provide: (...given: unknown[]) => provided.push(given) };
  return setup(project as unknown as TestProject);
}

test("without an engine there is no image, and why is said in one line", async () => {
  vi.stubEnv("CI", "");
  await start();
  expect(provided).toEqual([["image", null]]);
  expect(said).toMatch(
    /^Container tests are skipped: no Docker engine answers \(.+\); .*docker\/start-engine.*\n$/,
  );
});

test("without an engine CI fails", async () => {
  vi.stubEnv("CI", "true");
  await expect(start()).rejects.toThrow(/must run in CI: no Docker engine answers/);
  expect(provided).toEqual([]);
});
