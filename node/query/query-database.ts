// Query database: the SQL view itself: an SQLite in memory that takes over entries and answers one query at a time. Runs in a
// process of its own (query-child.ts): what it does, it does to that process alone.

import { constants, DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { messageOf } from "../../mesh/index.ts";
import { redactedValue } from "../introspection/redact.ts";
import { QUERY_BLOB_BYTES_MAX, QUERY_SQL_CHARS_MAX, QUERY_VALUE_BYTES_MAX } from "../limits.ts";
import type { FromQueryChild, QueryBounds, QueryParams } from "./query-protocol.ts";
import {
  type AppRows,
  type FedEntry,
  hasJson,
  kindRow,
  kindTable,
  PUBLIC_TABLES,
  SCHEMA,
  type SqlRow,
} from "./query-tables.ts";

type Failure = Extract<FromQueryChild, { readonly kind: "failed" }>;
type Tell = (message: FromQueryChild) => void;

/** Rows in one message. */
const PAGE_ROWS = 500;
/** Of sqlite3.h. */
const [SQLITE_NOMEM, SQLITE_TOOBIG] = [7, 18];
/** All that a query may do. Everything else is denied: writing, attaching, pragmas, transactions. */
const ALLOWED: ReadonlySet<number> = new Set([
  constants.SQLITE_SELECT,
  constants.SQLITE_READ,
  constants.SQLITE_FUNCTION,
  constants.SQLITE_RECURSIVE,
]);

export class QueryDatabase {
  readonly #database: DatabaseSync;
  readonly #inserts = new Map<string, StatementSync>();
  /** Of the query that is being prepared. */
  #tables = new Set<string>();

  constructor() {
    this.#database = new DatabaseSync(":memory:", {
      allowExtension: false,
      defensive: true,
      limits: { length: QUERY_VALUE_BYTES_MAX, sqlLength: QUERY_SQL_CHARS_MAX * 4, column: 200, attach: 0 },
    });
    // What does not fit in memory must not go to a file. (Node's SQLite counts no memory, so its own heap limit has no effect.)
    this.#database.exec("PRAGMA temp_store = MEMORY");
    this.#database.exec(SCHEMA);
  }

  takeEntries(entries: readonly FedEntry[]): void {
    this.#inTransaction(() => {
      for (const entry of entries) this.#takeEntry(entry);
    });
  }

  setMembers(members: readonly SqlRow[]): void {
    this.#inTransaction(() => this.#replace("members", members));
  }

  setApps(apps: readonly AppRows[]): void {
    this.#inTransaction(() => {
      this.#replace(
        "apps",
        apps.map(({ app }) => app),
      );
      this.#replace(
        "releases",
        apps.flatMap(({ releases }) => releases),
      );
      this.#replace(
        "wanted",
        apps.flatMap(({ wanted }) => wanted),
      );
    });
  }

  /** Tells rows and then how it ended. Never throws. */
  query(sql: string, params: QueryParams, bounds: QueryBounds, tell: Tell): void {
    this.#tables = new Set();
    this.#database.setAuthorizer((action, table) => this.#authorize(action, table));
    try {
      tell(this.#run(sql, params, bounds, tell));
    } catch (error) {
      tell(this.#failureOf(error));
    } finally {
      this.#database.setAuthorizer(null);
    }
  }

  // --- filling

  #takeEntry({ owner, key, incarnation, startId, counter, value }: FedEntry): void {
    const kind = kindTable(key);
    if (kind !== null)
      this.#statement(`DELETE FROM ${kind.table} WHERE owner = ? AND ${kind.column} = ?`).run(
        owner,
        kind.name,
      );
    if (value === null) {
      this.#statement("DELETE FROM entry_rows WHERE owner = ? AND key = ?").run(owner, key);
      return;
    }
    const shown = hasJson(key) ? redactedValue(key, value) : undefined;
    const json = shown === undefined ? null : JSON.stringify(shown);
    this.#insert("entry_rows", {
      owner,
      key,
      incarnation,
      start_id: startId,
      counter,
      bytes: value.length,
      value: json,
    });
    const row = kindRow({ key, value });
    if (row !== null) this.#insert(row.table, { owner, ...row.row });
  }

  #replace(table: string, rows: readonly SqlRow[]): void {
    this.#statement(`DELETE FROM ${table}`).run();
    for (const row of rows) this.#insert(table, row);
  }

  /** Two voters' records may want one VM, two owners may hold one name: the last counts. */
  #insert(table: string, row: SqlRow): void {
    const columns = Object.keys(row);
    const places = columns.map(() => "?").join(", ");
    const sql = `INSERT OR REPLACE INTO ${table} (${columns.join(", ")}) VALUES (${places})`;
    this.#statement(sql).run(...Object.values(row));
  }

  #statement(sql: string): StatementSync {
    const known = this.#inserts.get(sql);
    if (known !== undefined) return known;
    const made = this.#database.prepare(sql);
    this.#inserts.set(sql, made);
    return made;
  }

  #inTransaction(fill: () => void): void {
    this.#database.exec("BEGIN");
    try {
      fill();
    } catch (error) {
      this.#database.exec("ROLLBACK");
      throw error;
    }
    this.#database.exec("COMMIT");
  }

  // --- asking

  #authorize(action: number, table: string | null): number {
    if (!ALLOWED.has(action)) return constants.SQLITE_DENY;
    if (action === constants.SQLITE_READ && table !== null) this.#tables.add(table);
    return constants.SQLITE_OK;
  }

  #run(sql: string, params: QueryParams, bounds: QueryBounds, tell: Tell): FromQueryChild {
    const statement = this.#database.prepare(sql);
    if (this.#hasMore(sql.slice(statement.sourceSQL.length)))
      return {
        kind: "failed",
        code: "invalid",
        message: "one query at a time: there is another statement after it",
      };
    statement.setReturnArrays(true);
    statement.setReadBigInts(true);
    const page = new Page(bounds, tell);
    const rows = iterate(statement, params);
    let truncated = false;
    for (const row of rows) {
      truncated = !page.add(row);
      if (truncated) break;
    }
    page.flush();
    const columns = statement.columns().map(({ name }) => name);
    return { kind: "done", columns, tables: [...this.#tables], truncated };
  }

  /** Comments and semicolons are no statement. */
  #hasMore(rest: string): boolean {
    if (rest.trim() === "") return false;
    try {
      this.#database.prepare(rest);
      return true;
    } catch (error) {
      return !(error instanceof TypeError);
    }
  }

  #failureOf(error: unknown): Failure {
    const code = error instanceof Error && "errcode" in error ? Number(error.errcode) : 0;
    const said = messageOf(error);
    if (code === SQLITE_NOMEM)
      return {
        kind: "failed",
        code: "too-large",
        message: "the query needs more memory than queries may have",
      };
    if (code === SQLITE_TOOBIG)
      return {
        kind: "failed",
        code: "too-large",
        message: `a value may have ${QUERY_VALUE_BYTES_MAX} bytes; SQLite says: ${said}`,
      };
    return { kind: "failed", code: "invalid", message: this.#explain(said) };
  }

  /** What SQLite said, and what there is instead. */
  #explain(said: string): string {
    if (/not authorized|authorization denied|prohibited/.test(said)) return `a query may only read: ${said}`;
    if (/^no such table/.test(said)) return `${said}; the tables are ${PUBLIC_TABLES.join(", ")}`;
    if (/no such column/.test(said)) return `${said}; the columns are ${this.#describeColumns()}`;
    return said;
  }

  /** Of all tables: which of them was meant is not known. */
  #describeColumns(): string {
    this.#database.setAuthorizer(null);
    const columnsOf = (table: string): string => {
      const rows = this.#database.prepare(`SELECT name FROM pragma_table_info('${table}')`).all();
      return `${table} (${rows.map((row) => String(row["name"])).join(", ")})`;
    };
    return PUBLIC_TABLES.map(columnsOf).join("; ");
  }
}

function iterate(statement: StatementSync, params: QueryParams): Iterable<readonly unknown[]> {
  const rows = isList(params)
    ? statement.iterate(...params)
    : statement.iterate(params as Record<string, SQLInputValue>);
  return rows as unknown as Iterable<readonly unknown[]>;
}

function isList(params: QueryParams): params is Extract<QueryParams, readonly unknown[]> {
  return Array.isArray(params);
}

/** Rows as JSON, told some at a time, within the bounds. */
class Page {
  readonly #bounds: QueryBounds;
  readonly #tell: Tell;
  #rows: string[] = [];
  #count = 0;
  #bytes = 0;

  constructor(bounds: QueryBounds, tell: Tell) {
    this.#bounds = bounds;
    this.#tell = tell;
  }

  /** False: it does not fit any more. */
  add(row: readonly unknown[]): boolean {
    if (this.#count >= this.#bounds.rowsMax) return false;
    const json = JSON.stringify(row.map(jsonValue));
    this.#bytes += Buffer.byteLength(json) + 2;
    if (this.#bytes > this.#bounds.bytesMax) return false;
    this.#count += 1;
    this.#rows.push(json);
    if (this.#rows.length >= PAGE_ROWS) this.flush();
    return true;
  }

  flush(): void {
    if (this.#rows.length > 0) this.#tell({ kind: "rows", rows: this.#rows });
    this.#rows = [];
  }
}

/** JSON has no bytes, no large integers and no infinity. */
function jsonValue(value: unknown): unknown {
  if (typeof value === "bigint") {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value.toString();
  }
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  if (!(value instanceof Uint8Array)) return value;
  const base64 = Buffer.from(value.subarray(0, QUERY_BLOB_BYTES_MAX)).toString("base64");
  return { bytes: value.length, base64 };
}
