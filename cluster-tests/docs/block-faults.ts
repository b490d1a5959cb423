// Block faults: what is wrong with a block of a page as far as it can be seen without running it. Each language that pages use is here.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ConfigError, describeConfigErrors, type Result } from "../../mesh/index.ts";
import { parseAgentConfig } from "../../node/config/agent-config.ts";
import { parseAppFile } from "../../node/config/app-file.ts";
import { readProxyConfig } from "../../proxy-agent/config.ts";
import { readGateConfig } from "../../proxy-agent/gate-config.ts";
import { type Block, ROOT } from "./blocks.ts";
import { commandFault } from "./command-fault.ts";
import { notRunOf } from "./not-run.ts";
import { commandsOf, exchangesOf, grapevineWords, withoutComment } from "./shell-lines.ts";

/** Null: nothing is wrong. */
export async function blockFault(block: Block): Promise<string | null> {
  const check = LANGUAGES[block.language];
  if (check !== undefined) return check(block);
  const known = Object.keys(LANGUAGES).join(", ");
  return `is of no language that is checked: write one of ${known}, or a check for ${block.language || "it"} in block-faults.ts`;
}

type Check = (block: Block) => string | null | Promise<string | null>;

/** What `sh`, `console` and `sql` say is run as well: scenarios/docs.test.ts. */
const LANGUAGES: Readonly<Record<string, Check>> = {
  toml: ({ text }) => tomlFault(text),
  json: ({ text }) => jsonFault(text),
  jsonl: ({ text }) =>
    text
      .split("\n")
      .map(jsonFault)
      .find((fault) => fault !== null) ?? null,
  sh: ({ text }) => shellFault(commandsOf(text)),
  console: ({ text }) => shellFault(exchangesOf(text).map(({ command }) => command)),
  sql: () => null,
  mermaid: ({ text }) =>
    /^(?:flowchart|sequenceDiagram)\b/.test(text) ? null : "is no diagram that is known",
  text: textFault,
};

/** What no program reads must be written, or held, by one; it is named here, or in a comment before the block. */
const TEXT_HELD_BY: Readonly<Record<string, string>> = {
  "docs/commands.md": "cluster-tests/docs.test.ts",
  "mesh/README.md": "mesh/register/certificate.test.ts",
};

function textFault({ page, before, text }: Block): string | null {
  const [, file] = /^<!-- from ([\w./-]+) -->$/.exec(before) ?? [];
  if (file !== undefined) return copyFault(file, text);
  return Object.hasOwn(TEXT_HELD_BY, page)
    ? null
    : "is text that nothing holds: write console, with the command before it";
}

/** Of a block that shows a file that a program wrote: `<!-- from node/cli/testdata/plans/rolling.txt -->`. */
function copyFault(file: string, text: string): string | null {
  const path = join(ROOT, file);
  if (!existsSync(path)) return `is from ${file}, which is not there`;
  return readFileSync(path, "utf8").trim() === text.trim() ? null : `is not what ${file} says: copy that`;
}

function jsonFault(text: string): string | null {
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    return `is no JSON: ${String(error)}`;
  }
}

async function shellFault(lines: readonly string[]): Promise<string | null> {
  const commands = lines.map(withoutComment).flatMap((line) => line.split(" && "));
  for (const command of commands) {
    const fault = await lineFault(command);
    if (fault !== null) return `\`${command}\`: ${fault}`;
  }
  return null;
}

/** `curl` asks as people do; `kill` is what pages do to members; the shell's words for what completes commands. */
const PROGRAMS = /^(?:curl|kill|source) /;

async function lineFault(command: string): Promise<string | null> {
  const notRun = notRunOf(command);
  const words = grapevineWords(command);
  if (words !== null) return commandFault(words);
  if (notRun !== null) return notRun.fault(command);
  return PROGRAMS.test(command) ? null : "is neither run nor named in not-run.ts";
}

type Reader = (text: string) => Result<unknown, readonly ConfigError[]>;

const READERS: Readonly<Record<string, Reader>> = {
  app: (text) => parseAppFile("app.toml", text),
  agent: (text) => parseAgentConfig("agent.toml", text, null),
  gate: (text) => fromFile(text, readGateConfig),
  proxy: (text) => fromFile(text, readProxyConfig),
};

function fromFile<Value>(text: string, read: (file: string) => Value): Value {
  const folder = mkdtempSync(join(tmpdir(), "grapevine-docs-"));
  try {
    const file = join(folder, "config.toml");
    writeFileSync(file, text);
    return read(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** An id that `grapevine init` could have printed. */
const CLUSTER = `12D3KooW${"a".repeat(44)}`;
/** Before what is a part of an app file. */
const APP_HEAD = 'name = "hello"\ncommand = ["node", "server.js"]\n';

/** A comment in the first line, `# gate.toml`, says what it is; else whoever can read it. */
function tomlFault(shown: string): string | null {
  const text = shown.replaceAll("12D3KooW…", CLUSTER);
  const [, named] = /^# (app|agent|gate|proxy)\.toml/.exec(text) ?? [];
  const readers = named === undefined ? Object.keys(READERS) : [named];
  const results = [
    ...readers.map((reader) => READERS[reader]?.(text)),
    ...(readers.includes("app") ? [READERS["app"]?.(APP_HEAD + text)] : []),
  ];
  if (results.some((result) => result?.ok === true)) return null;
  const [first] = results;
  return first === undefined || first.ok ? null : describeConfigErrors(first.error);
}
