import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { runBench } from "./main.ts";
import { parseOptions } from "./options.ts";
import { commandLine } from "./report/html.ts";

let told: string[];
let printed: string[];
beforeEach(() => {
  told = [];
  printed = [];
  vi.spyOn(process.stderr, "write").mockImplementation((chunk) => told.push(String(chunk)) > 0);
  vi.spyOn(process.stdout, "write").mockImplementation((chunk) => printed.push(String(chunk)) > 0);
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

it("has the measurement of the design as its default", () => {
  expect(parseOptions(["--seed", "5"])).toEqual({
    hosts: 8,
    proxies: 8,
    rate: 10,
    seconds: 20,
    rounds: 5,
    driver: "process",
    seed: 5,
    floors: ["raw", "streams", "serf"],
    json: false,
    html: null,
    profile: null,
  });
});

it.each([
  [["--hosts", "0"], "whole number from 1 to 32"],
  [["--hosts", "33"], "whole number from 1 to 32"],
  [["--rate", "1.5"], "whole number from 1 to 1000"],
  [["--rate", "fast"], "whole number from 1 to 1000"],
  [["--seconds", "-1"], "whole number from 1 to 3600"],
  [["--driver", "vm"], "one of process, container"],
  [["--floors", "raw,udp"], "one of raw, streams, serf"],
  [["--round", "3"], "unknown option '--round'"],
])("refuses %j with what to write instead", (argv, words) => {
  expect(parseOptions(argv)).toBe(2);
  expect(told.join("")).toContain(words);
});

it("says with --json in one object what was wrong", () => {
  expect(parseOptions(["--json", "--rate", "0"])).toBe(2);
  expect(JSON.parse(printed.join(""))).toMatchObject({ error: { code: "invalid" }, exitCode: 2 });
});

it("takes no floor for an empty comparison", () => {
  expect(parseOptions(["--floors", "none"])).toMatchObject({ floors: [] });
});

it("says that no engine answers, and that a page cannot be written, before anything starts", async () => {
  vi.stubEnv("DOCKER_HOST", "unix:///nobody/listens/here.sock");
  expect(await runBench(["--driver", "container"])).toBe(2);
  expect(told.join("")).toMatch(
    /--driver container: no Docker engine answers \(.+\): .*docker\/start-engine/,
  );
  expect(await runBench(["--html", "/nowhere/page.html"])).toBe(2);
  expect(told.join("")).toContain("--html: ENOENT");
});

it("prints a command line that reads back as the same options", () => {
  const options = parseOptions(["--seed", "9", "--hosts", "3", "--floors", "raw,serf"]);
  if (typeof options === "number") throw new Error("refused");
  const words = commandLine(options).split(" ");
  const argv = words.slice(words.indexOf("convergence") + 1);
  expect(parseOptions(argv)).toEqual({ ...options, html: "convergence.html" });
});
