// What the pages name is there: a file that moves takes their sentences along.

import { globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { type ZodType, z } from "zod";
import { memberConfigShape, told } from "../mesh/index.ts";
import { createProgram } from "../node/cli/program/run-command.ts";
import { agentConfigShape } from "../node/config/agent-config.ts";
import { appFileShape } from "../node/config/app-file.ts";
import { proxyConfigKeys } from "../proxy-agent/config.ts";
import { gateConfigKeys } from "../proxy-agent/gate-config.ts";
import { commandsPage } from "./docs/commands-page.ts";
import { keysOf, tablesOf, withKeyTables } from "./docs/key-tables.ts";
import { withExitCodes } from "./docs/reference.ts";

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

/** What every member has is told once. */
const MEMBER_KEYS = keysOf(z.strictObject(memberConfigShape));
const ownKeysOf = (shape: ZodType) =>
  keysOf(shape).filter(({ name }) => !MEMBER_KEYS.some((key) => key.name === name));
const CONFIG_TABLES = {
  "every member": MEMBER_KEYS,
  "an agent": ownKeysOf(agentConfigShape(null)),
  "a gate": keysOf(gateConfigKeys),
  "a proxy": ownKeysOf(proxyConfigKeys),
};

test("a key without words, and a table that the page does not have, are refused", () => {
  const page = "<!-- keys: top -->\n<!-- end of keys -->";
  const shape = z.strictObject({ size: told(z.int().min(1).max(9).default(3), { means: "How large." }) });
  const row = "| `size` | 1 to 9 | `3` | How large. |";
  expect(withKeyTables(page, tablesOf("top", shape))).toContain(row);
  const below = shape.extend({
    stop: told(z.strictObject({ size: shape.shape.size }), { means: "Its end." }),
  });
  expect(() => withKeyTables(page, tablesOf("top", below))).toThrow(/no table for \[stop\]/);
  const wordless = shape.extend({ colour: z.enum(["red", "blue"]).default("red") });
  expect(() => withKeyTables(page, tablesOf("top", wordless))).toThrow(/colour of top has no words/);
});

test.each([
  { page: "docs/commands.md", written: () => commandsPage(createProgram(() => undefined)) },
  {
    page: "docs/app-file.md",
    written: (text: string) => withKeyTables(text, tablesOf("the app", appFileShape)),
  },
  { page: "docs/cli.md", written: withExitCodes },
  { page: "docs/config.md", written: (text: string) => withKeyTables(text, CONFIG_TABLES) },
])("$page tells what the program knows (REWRITE=1 writes it)", ({ page, written }) => {
  const path = join(ROOT, page);
  const text = written(readFileSync(path, "utf8"));
  if (process.env["REWRITE"] === "1") writeFileSync(path, text);
  expect(readFileSync(path, "utf8")).toBe(text);
});
