// query: SQL about what an agent holds, once or watched.

import { z } from "zod";
import { ApiError } from "../api-client.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { followLines } from "../follow-lines.ts";
import { type ClientOptions, print, printJson, type Session, UsageError, withAgent } from "../session.ts";
import { formatCsv, formatTable, plainText } from "../table.ts";

export interface QueryOptions extends ClientOptions {
  readonly param: readonly string[];
  readonly csv?: boolean;
  readonly watch?: boolean;
}

/** Longer than a query may take, and than its process may take to be ready. */
const ANSWER_TIMEOUT_MS = 40_000;

const rowShape = z.array(z.unknown());
const resultShape = z.looseObject({
  columns: z.array(z.string()),
  rows: z.array(rowShape),
  truncated: z.boolean(),
});
const lineShape = z.looseObject({
  columns: z.array(z.string()).optional(),
  row: rowShape.optional(),
  endOfRows: z.looseObject({ rows: z.number() }).optional(),
  added: rowShape.optional(),
  removed: rowShape.optional(),
  changed: z.looseObject({ from: rowShape, to: rowShape }).optional(),
  error: z.looseObject({ code: z.string(), message: z.string() }).optional(),
});
type Line = z.infer<typeof lineShape>;

export function query(sql: string, options: QueryOptions): Promise<ExitCode> {
  return withAgent("query", options, async (session) => {
    if (options.csv === true && options.json === true) throw new UsageError("--csv and --json: one of them");
    if (options.csv === true && options.watch === true)
      throw new UsageError("--watch prints no CSV: use --json");
    const asked = { sql, params: options.param };
    if (options.watch === true) await watch(session, asked, options);
    else await ask(session, asked, options);
    return EXIT.done;
  });
}

interface Asked {
  readonly sql: string;
  readonly params: readonly string[];
}

async function ask({ client, signal }: Session, asked: Asked, options: QueryOptions): Promise<void> {
  const request = {
    method: "POST",
    path: "/v1/query",
    json: asked,
    answerTimeoutMs: ANSWER_TIMEOUT_MS,
  } as const;
  const { columns, rows, truncated } = resultShape.parse(await client.json(request, signal));
  if (options.json === true) {
    printJson({ columns, rows, truncated });
    return;
  }
  if (options.csv === true) print(formatCsv([columns, ...rows.map((row) => row.map(csvCell))]));
  else
    print(
      formatTable(
        columns,
        rows.map((row) => row.map(cell)),
      ),
    );
  if (truncated)
    process.stderr.write(`grapevine query: only the first ${rows.length} rows: the result is larger\n`);
}

// --- watching

async function watch({ client, signal }: Session, asked: Asked, options: QueryOptions): Promise<void> {
  await client.learnAgents(signal);
  const request = () =>
    ({ method: "POST", path: "/v1/query/watch", json: asked, answerTimeoutMs: ANSWER_TIMEOUT_MS }) as const;
  const printer = new WatchPrinter();
  const hear = (raw: unknown): void => {
    const line = lineShape.parse(raw);
    if (line.error !== undefined) throw new ApiError(line.error.code, line.error.message);
    if (options.json === true) printJson(raw);
    else printer.hear(line);
  };
  await followLines(client, { request, hear, refused: () => false }, signal);
}

/** The result as a table, once it is whole; then a line for each change. */
class WatchPrinter {
  #columns: readonly string[] = [];
  #rows: string[][] = [];

  hear({ columns, row, endOfRows, added, removed, changed }: Line): void {
    if (columns !== undefined) this.#begin(columns);
    if (row !== undefined) this.#rows.push(row.map(cell));
    if (endOfRows !== undefined)
      print(`${formatTable(this.#columns, this.#rows)}-- ${endOfRows.rows} rows; changes follow`);
    if (added !== undefined) print(`+ ${textOf(added)}`);
    if (removed !== undefined) print(`- ${textOf(removed)}`);
    if (changed !== undefined) print(`~ ${textOf(changed.from)}  ->  ${textOf(changed.to)}`);
  }

  /** Again after a break, perhaps by another agent. */
  #begin(columns: readonly string[]): void {
    if (this.#columns.length > 0) process.stderr.write("grapevine query: begins anew\n");
    this.#columns = columns;
    this.#rows = [];
  }
}

function textOf(row: readonly unknown[]): string {
  return row.map((value) => plainText(cell(value))).join("  ");
}

function cell(value: unknown): string {
  return value === null ? "-" : csvCell(value);
}

/** Bytes come as an object that has them. */
function csvCell(value: unknown): string {
  if (value === null) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
