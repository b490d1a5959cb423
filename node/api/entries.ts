// Entries: the store as it is, for looking, and entries of one's own under `custom/`, for anyone who wants to spread a fact.
// Nothing here is relayed: an agent writes its own host's state and no other's.

import type { Context, Hono } from "hono";
import {
  type AppliedReport,
  describeDuration,
  ENTRY_VALUE_BYTES_MAX,
  type Entry,
  isName,
  type MemberName,
  type Mesh,
  type OwnerId,
  type Version,
} from "../../mesh/index.ts";
import { CUSTOM_PREFIX, type EntryWrite, type WaitOptions } from "../custom-entries.ts";
import { readableValue, replaceUnprintable } from "../introspection/readable-value.ts";
import { apiError, apiErrorBeside, endedBy, JSON_TYPE, readBounded, streamed } from "./answer.ts";
import { type AppliedView, appliedView, timeoutOf } from "./applied-view.ts";
import type { ApiDeps, ApiEnv } from "./ports.ts";

const KEY_PATH = "/v1/entries/:key{.+}";
/** Entries written to the reader at once. */
const PAGE = 200;

/** What `PUT` and `DELETE` answer. */
export interface EntryWriteView extends AppliedView {
  readonly key: string;
  /** The member that wrote it: this agent. */
  readonly owner: MemberName;
  readonly version: Version;
  readonly wait: "applied" | null;
}

type WriteEntry = (key: string, context: Context<ApiEnv>, wait: WaitOptions | null) => Promise<EntryWrite>;

export function addEntryRoutes(app: Hono<ApiEnv>, deps: ApiDeps): void {
  const { mesh, entries } = deps;
  app.get("/v1/entries", ({ req }) => {
    const ended = endedBy(req.raw.signal);
    const body = streamed(listEntries(mesh, req.query("prefix") ?? ""), ended);
    return new Response(body, { headers: { "content-type": JSON_TYPE } });
  });
  app.get(KEY_PATH, ({ req }) => answerValue(mesh, req.param("key"), req.query("owner")));
  app.put(KEY_PATH, (context) =>
    answerWrite(mesh, context, async (key, { req }, wait) => {
      const value = await readBounded(req.raw.body, ENTRY_VALUE_BYTES_MAX);
      if (value !== null) return entries.put(key, value, wait);
      return { code: "too-large", message: `a value has at most ${ENTRY_VALUE_BYTES_MAX} bytes` };
    }),
  );
  app.delete(KEY_PATH, (context) =>
    answerWrite(mesh, context, (key, _context, wait) => entries.delete(key, wait)),
  );
}

// --- writing

async function answerWrite(mesh: Mesh, context: Context<ApiEnv>, write: WriteEntry): Promise<Response> {
  if (context.env?.isRelayed === true) return apiError("forbidden", "an agent writes its own entries alone");
  const wait = waitOf(context);
  if (typeof wait === "string") return apiError("invalid", wait);
  const written = await write(context.req.param("key") ?? "", context, wait);
  if (written.code !== "written") return apiError(written.code, written.message);
  const { key, version, applied } = written;
  const report = (await applied) ?? { acks: [], missing: [] };
  const { missing } = report;
  const view = {
    key,
    owner: mesh.self.name,
    version,
    wait: applied === null ? null : ("applied" as const),
    ...appliedView(report),
  } satisfies EntryWriteView;
  if (wait === null || missing.length === 0) return Response.json(view);
  return apiErrorBeside(view, "timed-out", describeMissing(key, wait.timeoutMs, missing));
}

/** What is asked for by `wait` and `timeout`, null for no wait, or what is wrong with them. */
function waitOf({ req }: Context<ApiEnv>): WaitOptions | null | string {
  const [wait, timeout] = [req.query("wait"), req.query("timeout")];
  if (wait !== undefined && wait !== "applied")
    return `wait must be "applied"; found ${JSON.stringify(wait)}`;
  if (wait === undefined) return timeout === undefined ? null : "timeout is for wait=applied";
  const timeoutMs = timeoutOf(timeout);
  return typeof timeoutMs === "string" ? timeoutMs : { timeoutMs, signal: req.raw.signal };
}

function describeMissing(key: string, timeoutMs: number, missing: AppliedReport["missing"]): string {
  const names = missing.map(({ name, why }) => `${name} (${why})`).join(", ");
  return `${key} is written and stands; not in force within ${describeDuration(timeoutMs)} at ${names}`;
}

// --- reading

/** The bytes as they were put. The version is incarnation, start id and counter, as in the JSON of a write. */
function answerValue(mesh: Mesh, key: string, ownerName: string | undefined): Response {
  const name = ownerName ?? mesh.self.name;
  if (!isName(name)) return apiError("invalid", "this is no member's name");
  const owner = mesh.members().find((member) => member.name === name);
  if (owner === undefined) return apiError("not-found", `there is no member ${name}`);
  const entry = mesh.store.get(owner.owner, `${CUSTOM_PREFIX}${key}`);
  if (entry === undefined || entry.value === null)
    return apiError(
      "not-found",
      `${name} has no entry ${CUSTOM_PREFIX}${key}, as far as ${mesh.self.name} knows`,
    );
  const { incarnation, startId, counter } = entry.version;
  return new Response(Uint8Array.from(entry.value), {
    headers: {
      "content-type": "application/octet-stream",
      "content-length": String(entry.value.length),
      "grapevine-owner": name,
      "grapevine-version": `${incarnation}.${startId}.${counter}`,
    },
  });
}

/** A JSON array of every entry under `prefix`, one page after the other: the whole is never in memory as text. */
async function* listEntries(mesh: Mesh, prefix: string): AsyncGenerator<Uint8Array> {
  const names = new Map(mesh.members().map((member) => [member.owner, member.name]));
  const entries = mesh.store.list(prefix);
  const encoder = new TextEncoder();
  for (let from = 0; from === 0 || from < entries.length; from += PAGE) {
    const page = entries.slice(from, from + PAGE).map((entry) => describeEntry(entry, names));
    const isLast = from + PAGE >= entries.length;
    yield encoder.encode(`${from === 0 ? "[" : ",\n"}${page.join(",\n")}${isLast ? "]\n" : ""}`);
  }
}

function describeEntry(entry: Entry, names: ReadonlyMap<OwnerId, MemberName>): string {
  const { owner, key, version, value } = entry;
  const name = names.get(owner) ?? null;
  const shown = value === null ? undefined : readableValue(key, value);
  const bytes = value?.length ?? 0;
  return JSON.stringify({ owner, name, key, version, bytes, value: shown }, replaceUnprintable);
}
