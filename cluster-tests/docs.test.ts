// What the pages name is there: a file that moves takes their sentences along.

import { globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { createProgram } from "../node/cli/program/run-command.ts";
import { commandsPage } from "./docs/commands-page.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const FOLDERS = "{mesh,node,proxy-agent,cluster-tests,docker,docs}";
const PATHS: readonly string[] = [...globSync([`${FOLDERS}/**`, "*.*"], { cwd: ROOT })].map(
  (path) => `/${path}`,
);

test.each([
  "README.md",
  "ARCHITECTURE.md",
  "CONTRIBUTING.md",
  "mesh/README.md",
  "docker/README.md",
  "docs/scars.md",
  "docs/operations.md",
  "docs/query.md",
  "docs/strategies.md",
  "docs/how-deploys-move-traffic.md",
])("%s names only files and folders that are there", (page) => {
  const spans = readFileSync(join(ROOT, page), "utf8").matchAll(/`([\w./-]+(?:\.ts|\/))`/g);
  const named = [...spans].map(([, name = ""]) => name.replace(/\/$/, ""));
  expect(named.filter((name) => !PATHS.some((path) => path.endsWith(`/${name}`)))).toEqual([]);
});

test("docs/scars.md names only tests that are there, each in the file before it", () => {
  const page = readFileSync(join(ROOT, "docs/scars.md"), "utf8");
  let file = "";
  const named = [...page.matchAll(/`([\w./-]+\.test\.ts)`|"([^"]{12,})"/g)].flatMap(([, path, name]) => {
    file = path ?? file;
    return name === undefined ? [] : [{ file, name }];
  });
  expect(named.length).toBeGreaterThan(20);
  const isThere = (path: string, name: string) => readFileSync(join(ROOT, path), "utf8").includes(name);
  expect(named.filter(({ file: path, name }) => !isThere(path, name))).toEqual([]);
});

test("docs/commands.md tells of the commands that there are (REWRITE=1 writes it)", () => {
  const path = join(ROOT, "docs/commands.md");
  const page = commandsPage(createProgram(() => undefined));
  if (process.env["REWRITE"] === "1") writeFileSync(path, page);
  expect(readFileSync(path, "utf8")).toBe(page);
});
