import { expect, it } from "vitest";
import { STRATEGY_NAMES } from "../../../mesh/index.ts";
import { createProgram } from "./run-command.ts";

it.each(STRATEGY_NAMES)("deploy --help names the strategy %s", (strategy) => {
  const deploy = createProgram(() => undefined).commands.find((command) => command.name() === "deploy");
  const option = deploy?.options.find(({ long }) => long === "--strategy");
  expect(option?.description).toContain(strategy);
});
