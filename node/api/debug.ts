// Debug: the parts of a bug report that an agent has: what it holds, with secrets removed, and what any member tells of itself.

import type { Context, Hono } from "hono";
import {
  aboutProcess,
  askDebugPart,
  DEBUG_PARTS,
  type DebugPart,
  type Entry,
  type Mesh,
  serveDebug,
} from "../../mesh/index.ts";
import { OwnerNames } from "../introspection/names.ts";
import { redactedValue } from "../introspection/redact.ts";
import { apiError, endedBy, LINES_TYPE, streamed } from "./answer.ts";
import { memberNamed } from "./member-named.ts";
import type { ApiDeps, ApiEnv } from "./ports.ts";

/** Entries written to the reader at once. */
const PAGE = 100;

export function addDebugRoutes(app: Hono<ApiEnv>, deps: ApiDeps, metrics: () => string): void {
  const { mesh, config, self, recentLog } = deps;
  serveDebug(mesh, {
    about: () => JSON.stringify({ ...aboutProcess(), config, self }),
    metrics,
    log: recentLog,
  });
  app.get("/v1/debug/members/:name/:part", (context) => answerPart(mesh, context));
  app.get("/v1/debug/entries", ({ req }) => {
    const ended = endedBy(req.raw.signal);
    return new Response(streamed(listRedacted(mesh), ended), { headers: { "content-type": LINES_TYPE } });
  });
}

async function answerPart(mesh: Mesh, { req }: Context<ApiEnv>): Promise<Response> {
  const member = memberNamed(mesh, req.param("name"));
  if (member instanceof Response) return member;
  const part = req.param("part") ?? "";
  if (!isDebugPart(part))
    return apiError("invalid", `the parts are ${DEBUG_PARTS.join(", ")}; found ${part}`);
  const told = await askDebugPart(mesh, member, part, req.raw.signal);
  if (!told.ok) return apiError("unavailable", `${member.name} does not answer: ${told.error}`);
  return new Response(told.value, { headers: { "content-type": "text/plain; charset=utf-8" } });
}

function isDebugPart(text: string): text is DebugPart {
  return (DEBUG_PARTS as readonly string[]).includes(text);
}

/** A line each, deletions too: keys, versions, sizes, and the values of our own kinds without what may be secret. */
async function* listRedacted(mesh: Mesh): AsyncGenerator<Uint8Array> {
  const names = OwnerNames.of(mesh);
  const encoder = new TextEncoder();
  for (const { owner } of mesh.inspection.digests()) {
    const entries = [...mesh.inspection.entriesOf(owner)];
    for (let from = 0; from < entries.length; from += PAGE) {
      const lines = entries.slice(from, from + PAGE).map((entry) => `${describeEntry(entry, names)}\n`);
      yield encoder.encode(lines.join(""));
    }
  }
}

function describeEntry({ owner, key, version, value }: Entry, names: OwnerNames): string {
  const shown = value === null ? undefined : redactedValue(key, value);
  const facts = { name: names.name(owner), owner, key, version, bytes: value?.length ?? null };
  return JSON.stringify({ ...facts, deleted: value === null, value: shown });
}
