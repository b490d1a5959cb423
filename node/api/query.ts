// Query: SQL about what this agent holds, once or watched. The agent's own event loop only passes texts on.

import type { Context, Hono } from "hono";
import { z } from "zod";
import {
  QUERY_BODY_BYTES_MAX,
  QUERY_PARAMS_MAX,
  QUERY_RESULT_BYTES_MAX,
  QUERY_ROWS_MAX,
  QUERY_SQL_CHARS_MAX,
  QUERY_WATCHERS_MAX,
  WATCH_HEARTBEAT_MS,
} from "../limits.ts";
import type { QueryParams } from "../query/query-protocol.ts";
import { type QueryWatchEvent, watchQuery } from "../query/query-watch.ts";
import { apiError, endedBy, JSON_TYPE, LINES_TYPE, parseJson, readBounded, streamed } from "./answer.ts";
import type { ApiCounters } from "./counters.ts";
import { withHeartbeat } from "./heartbeat.ts";
import type { ApiDeps, ApiEnv } from "./ports.ts";

const scalarShape = z.union([z.null(), z.number(), z.string(), z.boolean().transform(Number)]);
const queryShape = z.strictObject({
  sql: z.string().min(1).max(QUERY_SQL_CHARS_MAX),
  params: z
    .union([z.array(scalarShape).max(QUERY_PARAMS_MAX), z.record(z.string().max(64), scalarShape)])
    .default([]),
});

interface Asked {
  readonly sql: string;
  readonly params: QueryParams;
}

export function addQueryRoutes(app: Hono<ApiEnv>, deps: ApiDeps, counters: ApiCounters): void {
  app.post("/v1/query", (context) =>
    withQuery(context, (asked) => answerQuery(deps, asked, counters, context.req.raw.signal)),
  );
  app.post("/v1/query/watch", (context) =>
    withQuery(context, async (asked) => answerWatch(deps, asked, counters, context.req.raw.signal)),
  );
}

async function withQuery(
  { req }: Context<ApiEnv>,
  answer: (asked: Asked) => Promise<Response>,
): Promise<Response> {
  const bytes = await readBounded(req.raw.body, QUERY_BODY_BYTES_MAX);
  if (bytes === null) return apiError("too-large", `the body has at most ${QUERY_BODY_BYTES_MAX} bytes`);
  const asked = queryShape.safeParse(parseJson(bytes)?.json);
  if (asked.success) return answer(asked.data);
  const issue = asked.error.issues[0];
  return apiError(
    "invalid",
    `the body must be {"sql": "select …", "params": [] or {}}: ${issue?.path.join(".") || "body"}: ${issue?.message}`,
  );
}

async function answerQuery(
  { queries }: ApiDeps,
  asked: Asked,
  counters: ApiCounters,
  signal: AbortSignal,
): Promise<Response> {
  const startedAtMs = performance.now();
  const bounds = { rowsMax: QUERY_ROWS_MAX, bytesMax: QUERY_RESULT_BYTES_MAX };
  const outcome = await queries.query({ ...asked, bounds }, signal);
  counters.queryEnded(outcome.code);
  if (outcome.code !== "rows") return apiError(outcome.code, outcome.message);
  const { columns, rows, truncated } = outcome;
  const tookMs = Math.round(performance.now() - startedAtMs);
  const head = JSON.stringify({ columns, truncated, tookMs });
  return new Response(`${head.slice(0, -1)},"rows":[${rows.join(",\n")}]}\n`, {
    headers: { "content-type": JSON_TYPE },
  });
}

function answerWatch(
  { mesh, queries }: ApiDeps,
  asked: Asked,
  counters: ApiCounters,
  signal: AbortSignal,
): Response {
  if (counters.queryWatchers >= QUERY_WATCHERS_MAX)
    return apiError(
      "unavailable",
      `${counters.queryWatchers} queries are watched here, and there is no room for another`,
    );
  counters.queryWatchers += 1;
  const ended = endedBy(signal);
  ended.signal.addEventListener("abort", () => (counters.queryWatchers -= 1), { once: true });
  const events = watchQuery(asked, { engine: queries, mesh }, ended.signal);
  return new Response(streamed(lines(events, ended), ended), { headers: { "content-type": LINES_TYPE } });
}

/** An empty line when nothing changed for a while. */
async function* lines(
  events: AsyncIterable<QueryWatchEvent>,
  ended: AbortController,
): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  try {
    for await (const event of withHeartbeat(events, WATCH_HEARTBEAT_MS))
      yield encoder.encode(event === null ? "\n" : `${lineOf(event)}\n`);
  } finally {
    ended.abort();
  }
}

function lineOf(event: QueryWatchEvent): string {
  switch (event.kind) {
    case "columns":
      return JSON.stringify({ columns: event.columns });
    case "row":
    case "added":
    case "removed":
      return `{"${event.kind}":${event.row}}`;
    case "end-of-rows":
      return JSON.stringify({ endOfRows: { rows: event.rows } });
    case "changed":
      return `{"changed":{"from":${event.from},"to":${event.to}}}`;
    case "failed":
      return JSON.stringify({ error: { code: event.code, message: event.message } });
  }
}
