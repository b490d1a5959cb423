// entries, entry put, get, delete: the facts that members spread, and those of one's own.

import { createReadStream } from "node:fs";
import { addAbortSignal, type Readable } from "node:stream";
import {
  describeDuration,
  describeVersion,
  ENTRY_VALUE_BYTES_MAX,
  messageOf,
  parseDuration,
  type Version,
} from "../../../mesh/words.ts";
import { readBounded } from "../../api/answer.ts";
import type { EntryWriteView } from "../../api/entries.ts";
import { type EntryRow, entryRowsShape, entryWriteShape } from "../answers.ts";
import { ApiError, type ApiRequest } from "../api-client.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { type ClientOptions, print, printJson, type Session, UsageError, withAgent } from "../session.ts";
import { formatDuration, formatTable, plainText } from "../table.ts";

const WAIT_DEFAULT = "5s";
/** The agent answers when the time is over: it gets this much more to do so. */
const ANSWER_MARGIN_MS = 6_000;

export interface EntryWriteOptions extends ClientOptions {
  readonly wait?: string;
  readonly timeout?: string;
}

export interface EntryGetOptions extends ClientOptions {
  readonly owner?: string;
}

export function entries(prefix: string | undefined, options: ClientOptions): Promise<ExitCode> {
  return withAgent("entries", options, async ({ client, signal }) => {
    const path = `/v1/entries?prefix=${encodeURIComponent(prefix ?? "")}`;
    const rows = entryRowsShape.parse(await client.json({ method: "GET", path }, signal));
    if (options.json === true) printJson(rows);
    else print(entriesTable(rows));
    return EXIT.done;
  });
}

/** Of no file, or "-": standard input. */
export function putEntry(
  key: string,
  file: string | undefined,
  options: EntryWriteOptions,
): Promise<ExitCode> {
  return withAgent("entry put", options, async (session) => {
    const query = waitQuery(options);
    const value = await readValue(file ?? "-", session.signal);
    const body = async function* () {
      yield value;
    };
    return write(session, { method: "PUT", path: pathOf(key), stream: body }, { ...options, ...query });
  });
}

export function deleteEntry(key: string, options: EntryWriteOptions): Promise<ExitCode> {
  return withAgent("entry delete", options, async (session) => {
    const query = waitQuery(options);
    return write(session, { method: "DELETE", path: pathOf(key) }, { ...options, ...query });
  });
}

export function getEntry(key: string, options: EntryGetOptions): Promise<ExitCode> {
  return withAgent("entry get", options, async ({ client, signal }) => {
    const query = options.owner === undefined ? "" : `?owner=${encodeURIComponent(options.owner)}`;
    const { headers, body } = await client.whole({ method: "GET", path: `${pathOf(key)}${query}` }, signal);
    if (options.json !== true) process.stdout.write(body);
    else printJson(valueJson(key, headers, body));
    return EXIT.done;
  });
}

// --- writing

interface WaitQuery {
  readonly query: string;
  readonly timeoutMs: number;
}

function waitQuery({ wait, timeout }: EntryWriteOptions): WaitQuery {
  if (wait === undefined && timeout !== undefined) throw new UsageError("--timeout is for --wait applied");
  if (wait === undefined) return { query: "", timeoutMs: 0 };
  if (wait !== "applied") throw new UsageError(`--wait must be applied; found ${wait}`);
  const text = timeout ?? WAIT_DEFAULT;
  const timeoutMs = parseDuration(text);
  if (timeoutMs === undefined)
    throw new UsageError(`--timeout must be a duration with its unit, for example 5s; found ${text}`);
  return { query: `?wait=applied&timeout=${encodeURIComponent(text)}`, timeoutMs };
}

async function write(
  { client, signal }: Session,
  { path, ...asked }: ApiRequest,
  { query, timeoutMs, json }: WaitQuery & ClientOptions,
): Promise<ExitCode> {
  const answerTimeoutMs = timeoutMs + ANSWER_MARGIN_MS;
  const request = { ...asked, path: `${path}${query}`, answerTimeoutMs, isOwnWrite: true };
  const view = entryWriteShape.parse(await client.json(request, signal).catch(timedOutView));
  const exitCode = view.missing.length === 0 ? EXIT.done : EXIT.timedOut;
  if (json === true) printJson({ ...view, exitCode });
  else for (const line of writeLines(view, asked.method, timeoutMs)) print(plainText(line));
  return exitCode;
}

/** The write stands: that it is not everywhere yet is an answer, not a failure. */
function timedOutView(error: unknown): unknown {
  if (error instanceof ApiError && error.code === "timed-out") return error.answer;
  throw error;
}

function writeLines(view: EntryWriteView, method: string, timeoutMs: number): readonly string[] {
  const { key, owner, version, wait, acks, missing } = view;
  const done = method === "DELETE" ? "deleted" : "written";
  const lines = [`${key}: ${done} by ${owner}, version ${describeVersion(version)}`];
  if (wait === null) return lines;
  const times = acks.map(({ name, ms }) => `${name} ${formatDuration(ms)}`).join(", ");
  lines.push(
    `in force at ${acks.length} of ${acks.length + missing.length}${times === "" ? "" : `: ${times}`}`,
  );
  if (missing.length === 0) return lines;
  return [
    ...lines,
    ...missing.map(({ name, role, why }) => `missing: ${role} ${name}: ${why}`),
    `not in force everywhere within ${describeDuration(timeoutMs)}; the write stands and goes on to spread: repeat the command to wait again`,
  ];
}

/**
 * Slashes part a key's path; all else is escaped. A dot segment cannot be: a URL resolves it, and the request would be for
 * something else (`../apps/NAME`). Throws a UsageError. All other rules of keys are the agent's to judge.
 */
function pathOf(key: string): string {
  const segments = key.split("/");
  if (segments.some((segment) => ["", ".", ".."].includes(segment)))
    throw new UsageError(`${JSON.stringify(key)} is no key: no part of it between slashes is empty, . or ..`);
  return `/v1/entries/${segments.map(encodeURIComponent).join("/")}`;
}

async function readValue(file: string, signal: AbortSignal): Promise<Uint8Array> {
  const source: Readable = file === "-" ? process.stdin : createReadStream(file);
  try {
    const value = await readBounded(addAbortSignal(signal, source), ENTRY_VALUE_BYTES_MAX);
    if (value !== null) return value;
  } catch (error) {
    if (signal.aborted) throw error;
    throw new UsageError(messageOf(error));
  }
  throw new UsageError(
    `${file === "-" ? "standard input" : file} has more than the ${ENTRY_VALUE_BYTES_MAX} bytes of a value`,
  );
}

// --- reading

function entriesTable(rows: readonly EntryRow[]): string {
  if (rows.length === 0) return "no entry\n";
  const cells = rows.map(({ key, name, version, bytes }) => [
    key,
    name ?? "-",
    describeVersion(version),
    String(bytes),
  ]);
  return formatTable(["KEY", "OWNER", "VERSION", "BYTES"], cells);
}

type Headers = Readonly<Record<string, string | string[] | undefined>>;

function valueJson(key: string, headers: Headers, body: Uint8Array): object {
  const owner = headers["grapevine-owner"] ?? null;
  const text = textOf(body);
  const base64 = Buffer.from(body).toString("base64");
  const version = versionOf(headers["grapevine-version"]);
  return { key: `custom/${key}`, owner, version, bytes: body.length, text, base64 };
}

function versionOf(header: string | string[] | undefined): Version | null {
  const [incarnation, startId, counter] = String(header).split(".").map(Number);
  if (incarnation === undefined || startId === undefined || counter === undefined) return null;
  return { incarnation, startId, counter };
}

/** Null: not UTF-8. */
function textOf(body: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    return null;
  }
}
