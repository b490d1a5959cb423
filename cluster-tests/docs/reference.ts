// Reference: what the tables of docs/cli.md say that there is, and what there is: commands, requests, exit codes.

import type { Command } from "commander";
import { EXIT_WORDS } from "../../node/cli/exit-words.ts";

/** "vm stop": commands without those that only have others below them. */
export function leavesOf(command: Command, path: readonly string[] = []): readonly string[] {
  if (command.commands.length === 0) return [path.join(" ")];
  return command.commands.flatMap((below) => leavesOf(below, [...path, below.name()]));
}

/** The first column of each table of the page. */
function firstCells(page: string): readonly string[] {
  const rows = page.split("\n").filter((line) => line.startsWith("| `"));
  return rows.map((row) => row.replaceAll("\\|", "/").split(" | ")[0] ?? "");
}

function spansOf(cell: string): readonly string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, span = ""]) => span);
}

const isRequest = (span: string) => /^(?:(?:GET|PUT|POST|DELETE|HEAD)\b|\/)/.test(span);

/** Of tables of commands: "deploy FILE --plan". Whatever may be left out is. */
export function commandRows(page: string): readonly string[] {
  const table = page.slice(0, page.indexOf("\n## "));
  return firstCells(table)
    .flatMap(spansOf)
    .map((span) => span.replaceAll(/ \[[^\]]*\]/g, "").replaceAll(/(\w+)(?:\/\w+)+/g, "$1"));
}

/** "GET /v1/apps/*": of `GET /v1/apps/APP`, `/watch` the second goes by the first's method, and may go on where it ended. */
export function requestRows(page: string): readonly string[] {
  return firstCells(page)
    .filter((cell) => isRequest(spansOf(cell)[0] ?? ""))
    .flatMap((cell) => requestsOf(spansOf(cell)));
}

function requestsOf(spans: readonly string[]): readonly string[] {
  const requests: string[] = [];
  let method = "";
  let base = "";
  const methods: string[] = [];
  for (const span of spans) {
    const [, verb, path = ""] = /^(GET|PUT|POST|DELETE|HEAD)? ?(.*)$/.exec(span) ?? [];
    if (verb !== undefined) methods.push(verb);
    if (path === "") continue;
    method = verb ?? method;
    const address = path.replace(/\?.*$/, "").replaceAll(/\b[A-Z]+\b/g, "*");
    const whole = /^\/(?:v1|metrics)\b/.test(address) ? address : base + address;
    base = whole.slice(0, whole.lastIndexOf("/"));
    for (const one of methods.length > 0 ? methods : [method]) requests.push(`${one} ${whole}`);
    methods.length = 0;
  }
  return requests;
}

/** What the API answers to, in the same words. */
export function requestsOfApi(
  routes: readonly { readonly method: string; readonly path: string }[],
): readonly string[] {
  const named = routes.filter(({ method }) => method !== "ALL");
  const requests = named.map(
    ({ method, path }) => `${method} ${path.replaceAll(/:\w+(?:\{[^}]*\})?/g, "*")}`,
  );
  return [...new Set(requests)].sort();
}

const BEGIN = "<!-- exit codes -->\n";
const END = "<!-- end of exit codes -->";

export function withExitCodes(page: string): string {
  const [before = "", rest] = page.split(BEGIN);
  const after = rest?.split(END)[1];
  if (after === undefined) throw new Error(`the page has no lines ${BEGIN.trim()} and ${END}`);
  const rows = Object.entries(EXIT_WORDS).map(([code, { means }]) => `| ${code} | ${means} |`);
  return `${before}${BEGIN}${["| code | meaning |", "| --- | --- |", ...rows].join("\n")}\n${END}${after}`;
}
