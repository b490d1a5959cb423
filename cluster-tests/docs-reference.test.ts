// docs/cli.md names the commands, requests and exit codes that there are, and no others.

import { expect, onTestFinished, test } from "vitest";
import { MemoryHub } from "../mesh/sim/memory-mesh.ts";
import { ApiHarness } from "../node/api/testing/api-harness.ts";
import { EXIT_WORDS } from "../node/cli/exit-words.ts";
import { createProgram } from "../node/cli/program/run-command.ts";
import { parseShape, shapeFaults } from "./docs/answer-shape.ts";
import { readPage } from "./docs/blocks.ts";
import { commandFault } from "./docs/command-fault.ts";
import { commandRows, leavesOf, requestRows, requestsOfApi } from "./docs/reference.ts";
import { wordsOf } from "./docs/shell-lines.ts";

const PAGE = readPage("docs/cli.md");

test("docs/cli.md says of each command when it returns, and of no other", async () => {
  const rows = commandRows(PAGE);
  expect(rows.length).toBeGreaterThan(30);
  const faults = await Promise.all(rows.map((row) => commandFault(wordsOf(row))));
  expect(rows.filter((_, index) => faults[index] !== null)).toEqual([]);
  // `voters` alone lists them.
  const told = rows.map((row) => `${row.replace(/^voters$/, "voters list")} `);
  const silent = leavesOf(createProgram(() => undefined)).filter(
    (command) => !told.some((row) => row.startsWith(`${command} `)),
  );
  expect(silent).toEqual([]);
});

test("docs/cli.md names each request that the API answers, and no other", async () => {
  const harness = new ApiHarness(new MemoryHub());
  onTestFinished(() => harness.stop());
  // What answers a GET answers HEAD as well.
  const told = requestRows(PAGE).map((request) => request.replace(/^HEAD /, "GET "));
  expect(told.length).toBeGreaterThan(30);
  expect([...new Set(told)].sort()).toEqual(requestsOfApi(harness.voterApi.routes));
});

test("an answer is held against its shape, key by key", () => {
  const shape = parseShape(
    '{app, "steps": [{kind, vms: [VM]}], weights: {v1: 90, v2: 10}, rollout: {id, …} | null}',
  );
  const answer = {
    app: "a",
    steps: [{ kind: "start", vms: ["v"] }],
    weights: { v1: 1, v2: 2 },
    rollout: null,
  };
  expect(shapeFaults(shape, answer)).toEqual([]);
  expect(shapeFaults(shape, { ...answer, rollout: { id: 1, more: 2 } })).toEqual([]);
  expect(shapeFaults(shape, { ...answer, other: 1 })).toEqual([".other is not told"]);
  expect(shapeFaults(shape, { ...answer, steps: [{ kind: "stop" }] })).toEqual([".steps[].vms is not there"]);
  expect(shapeFaults(shape, { ...answer, steps: {} })).toEqual([".steps is no list"]);
});

test("README.md has the exit codes in the words of --help", () => {
  const codes = Object.entries(EXIT_WORDS).map(([code, { short }]) => `${code} ${short}`);
  expect(readPage("README.md").replaceAll(/\s+/g, " ")).toContain(`Exit codes: ${codes.join(" · ")}.`);
});
