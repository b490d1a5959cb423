// Query watch: the result of a query, and then each change of it. It is asked again when something that it reads has changed,
// at most every so often.

import { setTimeout as sleep } from "node:timers/promises";
import type { Mesh } from "../../mesh/index.ts";
import { QUERY_ROWS_MAX, QUERY_WATCH_INTERVAL_MS, QUERY_WATCHED_BYTES_MAX } from "../limits.ts";
import type { QueryEngine } from "./query-engine.ts";
import type { QueryOutcome } from "./query-process.ts";
import type { QueryParams } from "./query-protocol.ts";
import { TABLE_SOURCES } from "./query-tables.ts";
import { diffRows, type RowChange } from "./row-changes.ts";

/** Rows are JSON arrays, as text. */
export type QueryWatchEvent =
  | { readonly kind: "columns"; readonly columns: readonly string[] }
  | { readonly kind: "row"; readonly row: string }
  /** The rows that are there were told; what follows are changes. */
  | { readonly kind: "end-of-rows"; readonly rows: number }
  | RowChange
  /** It is over. */
  | {
      readonly kind: "failed";
      readonly code: "invalid" | "too-large" | "unavailable";
      readonly message: string;
    };

export interface QueryWatchOptions {
  readonly sql: string;
  readonly params: QueryParams;
  readonly intervalMs?: number;
}

export interface QueryWatchDeps {
  readonly engine: Pick<QueryEngine, "query">;
  readonly mesh: Pick<Mesh, "onChange" | "onMembers">;
}

type Rows = Extract<QueryOutcome, { readonly code: "rows" }>;

const BOUNDS = { rowsMax: QUERY_ROWS_MAX, bytesMax: QUERY_WATCHED_BYTES_MAX };

/** Ends on abort, or after `failed`. */
export async function* watchQuery(
  { sql, params, intervalMs = QUERY_WATCH_INTERVAL_MS }: QueryWatchOptions,
  { engine, mesh }: QueryWatchDeps,
  signal: AbortSignal,
): AsyncGenerator<QueryWatchEvent> {
  const news = new News(mesh, signal);
  try {
    let before: Rows | null = null;
    while (!signal.aborted) {
      // Before the query: what changes while it runs is looked at again.
      news.forget();
      const outcome: QueryOutcome = await engine.query({ sql, params, bounds: BOUNDS }, signal);
      if (signal.aborted) return;
      const failure = failureOf(outcome);
      if (failure !== null || outcome.code !== "rows") {
        if (failure !== null) yield failure;
        return;
      }
      yield* before === null ? firstEvents(outcome) : diffRows(before.rows, outcome.rows);
      before = outcome;
      news.watch(outcome.tables);
      await sleep(intervalMs, undefined, { signal }).catch(() => undefined);
      await news.wait();
    }
  } finally {
    news.stop();
  }
}

function failureOf(outcome: QueryOutcome): Extract<QueryWatchEvent, { readonly kind: "failed" }> | null {
  if (outcome.code !== "rows") return { kind: "failed", ...outcome };
  if (!outcome.truncated) return null;
  const message = `a result that is watched has at most ${BOUNDS.rowsMax} rows and ${BOUNDS.bytesMax} bytes: ask for less`;
  return { kind: "failed", code: "too-large", message };
}

function* firstEvents({ columns, rows }: Rows): Generator<QueryWatchEvent> {
  yield { kind: "columns", columns };
  for (const row of rows) yield { kind: "row", row };
  yield { kind: "end-of-rows", rows: rows.length };
}

/** Whether something changed that a query read. Before it is known what that is, all counts. */
class News {
  readonly #unsubscribes: readonly (() => void)[];
  #prefixes: readonly string[] = [""];
  #readsMembers = true;
  #isThere = false;
  #wake: () => void = () => undefined;
  readonly #signal: AbortSignal;

  constructor(mesh: QueryWatchDeps["mesh"], signal: AbortSignal) {
    this.#signal = signal;
    this.#unsubscribes = [
      mesh.onChange(({ key }) => this.#see(this.#prefixes.some((prefix) => key.startsWith(prefix)))),
      mesh.onMembers(() => this.#see(this.#readsMembers)),
    ];
    signal.addEventListener("abort", () => this.#wake(), { once: true });
  }

  forget(): void {
    this.#isThere = false;
  }

  watch(tables: readonly string[]): void {
    const sources = tables.flatMap((table) => TABLE_SOURCES[table] ?? []);
    this.#readsMembers = sources.includes("members");
    this.#prefixes = sources.flatMap((source) => (source === "members" ? [] : [source.prefix]));
  }

  async wait(): Promise<void> {
    if (this.#isThere || this.#signal.aborted) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  stop(): void {
    for (const unsubscribe of this.#unsubscribes) unsubscribe();
  }

  #see(isNews: boolean): void {
    if (!isNews) return;
    this.#isThere = true;
    this.#wake();
  }
}
