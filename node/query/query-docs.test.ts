import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { QueryDatabase } from "./query-database.ts";
import type { FromQueryChild } from "./query-protocol.ts";
import { PUBLIC_TABLES, TABLE_SOURCES } from "./query-tables.ts";

const PAGE = readFileSync(new URL("../../docs/query.md", import.meta.url), "utf8");

function ask(database: QueryDatabase, sql: string): FromQueryChild {
  const told: FromQueryChild[] = [];
  database.query(sql, [], { rowsMax: 10, bytesMax: 10_000 }, (message) => told.push(message));
  return told.at(-1) as FromQueryChild;
}

/** The line of its columns is the last of the paragraph that begins with its name. */
function documentedColumns(table: string): string | undefined {
  const paragraph = PAGE.split("\n\n").find((text) => text.startsWith(`**${table}**`));
  return paragraph?.split("\n").at(-1)?.replaceAll("`", "");
}

test.each(PUBLIC_TABLES)("docs/query.md lists the columns of %s, in their order", (table) => {
  const done = ask(new QueryDatabase(), `select * from ${table}`);
  if (done.kind !== "done") throw new Error(JSON.stringify(done));
  expect(documentedColumns(table)).toBe(done.columns.join(", "));
  // So that a watch of it knows what to look at: views are told too, and what they are made of.
  const filled = done.tables.filter((name) => name in TABLE_SOURCES);
  const others = done.tables.filter((name) => !filled.includes(name));
  expect(filled.length).toBeGreaterThan(0);
  expect(others.filter((name) => !(PUBLIC_TABLES as readonly string[]).includes(name))).toEqual([]);
});

test("the examples of docs/query.md are queries", () => {
  const database = new QueryDatabase();
  const block = /```sql\n([\s\S]*?)```/.exec(PAGE)?.[1] ?? "";
  const examples = block.trim().split("\n");
  expect(examples.length).toBeGreaterThan(3);
  for (const sql of examples) expect(ask(database, sql)).toMatchObject({ kind: "done" });
});
