// Watch: every change that this agent learns of, as it comes, and where to go on after a break.

import type { Context, Hono } from "hono";
import { NameBook } from "../introspection/names.ts";
import { WATCHERS_MAX } from "../limits.ts";
import { ChangeLog } from "../watch/change-log.ts";
import { type WatchOptions, watchBody } from "../watch/watcher.ts";
import { apiError, LINES_TYPE } from "./answer.ts";
import type { ApiCounters } from "./counters.ts";
import type { ApiDeps, ApiEnv } from "./ports.ts";

export function addWatchRoutes(app: Hono<ApiEnv>, { mesh }: ApiDeps, counters: ApiCounters): void {
  const [log, book] = [new ChangeLog(mesh), new NameBook(mesh)];
  app.get("/v1/watch", (context) => {
    const options = optionsOf(log, context);
    if (options instanceof Response) return options;
    const headers = { "content-type": LINES_TYPE };
    // Nobody would read the body, nor end it.
    if (context.req.method === "HEAD") return new Response(null, { headers });
    if (counters.watchers >= WATCHERS_MAX)
      return apiError(
        "unavailable",
        `${mesh.self.name} has ${WATCHERS_MAX} watchers, and no room for another`,
      );
    counters.watchers += 1;
    const onEnd = (): void => {
      counters.watchers -= 1;
    };
    const body = watchBody(options, { mesh, log, book, onEnd });
    return new Response(body, { headers });
  });
}

function optionsOf(log: ChangeLog, { req }: Context<ApiEnv>): WatchOptions | Response {
  const [prefix, from] = [req.query("prefix") ?? "", req.query("from")];
  if (from === undefined) return { prefix, after: null };
  const resumption = log.resume(from);
  if (resumption.code === "resume") return { prefix, after: resumption.after };
  if (resumption.code === "invalid")
    return apiError("invalid", "from must be a position, as a line of /v1/watch gives it");
  const message = `you must begin anew, without from: ${resumption.reason}`;
  return apiError("gone", message, { restart: true });
}
