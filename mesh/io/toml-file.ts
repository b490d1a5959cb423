// TOML file: reads a configuration file against a schema. Every mistake is told at once, each with its line, its key and
// what to write instead. The texts come from the schema ("must be …, for example …"); this file adds line and finding.

import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { type AST, getStaticTOMLValue, ParseError, parseTOML } from "toml-eslint-parser";
import { type ZodType, z } from "zod";
import { describeDuration, parseDuration } from "../core/duration.ts";
import { nearestWord } from "../core/nearest-word.ts";
import { fail, messageOf, ok, type Result } from "../result.ts";
import { told } from "./key-words.ts";

/** One mistake in a configuration file: always the writer's, nothing was started. */
export interface ConfigError {
  readonly file: string;
  /** From 1. Of a key that is missing: the line of its table. */
  readonly line: number;
  /** "checks[0].interval", or "" when the file as a whole is meant. */
  readonly key: string;
  /** What is wrong and what to write instead. */
  readonly message: string;
}

/** A configuration written by hand is a few KiB; above this it is another kind of file. */
const CONFIG_FILE_BYTES_MAX = 1024 * 1024;
/** What was found is cut here in a message. */
const FOUND_CHARS_MAX = 60;

type Path = readonly PropertyKey[];

/** `schema` should be strict, and each of its checks carry a message that starts with "must be". */
export function readTomlFile<Value>(
  file: string,
  schema: ZodType<Value>,
  isSecret: (key: string) => boolean = () => false,
): Result<Value, readonly ConfigError[]> {
  const text = readText(file);
  return text.ok ? parseToml(file, text.value, schema, isSecret) : fail([wholeFile(file, text.error)]);
}

/**
 * `readTomlFile` for text that is at hand; `file` only names it. `isSecret`: a key at the top below which no message says what was
 * found.
 */
export function parseToml<Value>(
  file: string,
  text: string,
  schema: ZodType<Value>,
  isSecret: (key: string) => boolean = () => false,
): Result<Value, readonly ConfigError[]> {
  const document = parseDocument(file, text);
  if (!document.ok) return fail([document.error]);
  const { value, lines } = document.value;
  const knownKeys = new Map<string, readonly string[]>();
  const parsed = schema.safeParse(value, { error: (issue) => rememberKnownKeys(issue, knownKeys) });
  if (parsed.success) return ok(parsed.data);
  const errors = parsed.error.issues.flatMap((issue) =>
    tellIssue(issue, { document: value, knownKeys, isSecret }),
  );
  const placed = errors.map(({ path, message }) => ({
    file,
    line: lineOf(lines, path),
    key: describePath(path),
    message,
  }));
  return fail(placed.sort((left, right) => left.line - right.line));
}

/** One line for each: "app.toml:3: count: must be …". */
export function describeConfigErrors(errors: readonly ConfigError[]): string {
  return errors
    .map(({ file, line, key, message }) => `${file}:${line}: ${key === "" ? "" : `${key}: `}${message}`)
    .join("\n");
}

/** A duration with its unit; its value is in milliseconds. `example` is shown in the error: `interval = "500ms"`. */
export function durationShape(options: {
  readonly minMs: number;
  readonly maxMs: number;
  readonly example: string;
}): ZodType<number> {
  const range = `${describeDuration(options.minMs)} to ${describeDuration(options.maxMs)}`;
  const message = `must be a duration from ${range} with its unit (ms, s, m or h), for example ${options.example}`;
  const isInRange = (text: string) => {
    const durationMs = parseDuration(text);
    return durationMs !== undefined && durationMs >= options.minMs && durationMs <= options.maxMs;
  };
  const shape = z
    .string(message)
    .refine(isInRange, message)
    .transform((text) => parseDuration(text) ?? 0);
  return told(shape, { type: range, unit: "ms" });
}

/** A key that there was once: in no list of those that may be written. */
export type FormerKey = z.ZodOptional<z.ZodNever>;

/** `message` is told of a file that still has it, as it is: what has taken its place. */
export function formerKey(message: string): FormerKey {
  return z.never(message).optional();
}

function wholeFile(file: string, message: string): ConfigError {
  return { file, line: 1, key: "", message };
}

function readText(file: string): Result<string> {
  let descriptor: number;
  try {
    descriptor = openSync(file, "r");
  } catch (error) {
    return fail(describeOpenError(error));
  }
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isFile()) return fail("is not a file: give the path of a TOML file");
    if (stat.size > CONFIG_FILE_BYTES_MAX)
      return fail(`has ${stat.size} bytes; a configuration has at most ${CONFIG_FILE_BYTES_MAX}`);
    const bytes = Buffer.alloc(stat.size);
    const length = readSync(descriptor, bytes, 0, stat.size, 0);
    return ok(new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, length)));
  } catch {
    return fail("is not UTF-8 text: a configuration is a TOML file in UTF-8");
  } finally {
    closeSync(descriptor);
  }
}

function describeOpenError(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ENOENT") return "no such file: check the path";
  if (code === "EACCES") return "may not be read by this user: check its permissions";
  return `cannot be opened: ${messageOf(error)}`;
}

interface Document {
  readonly value: unknown;
  readonly lines: ReadonlyMap<string, number>;
}

function parseDocument(file: string, text: string): Result<Document, ConfigError> {
  try {
    const program = parseTOML(text);
    const lines = new Map<string, number>();
    markTable(program.body[0], [], lines);
    return ok({ value: getStaticTOMLValue(program), lines });
  } catch (error) {
    if (error instanceof ReservedKey)
      return fail({ file, line: error.line, key: error.message, message: "unknown key" });
    if (!(error instanceof ParseError))
      return fail(wholeFile(file, "is nested too deep for a configuration"));
    return fail({ file, line: syntaxErrorLine(error), key: "", message: describeSyntaxError(error) });
  }
}

const DUPLICATE_KEY = "Defining a key multiple times is invalid";

/** The parser notices most mistakes at the line break after them. */
function syntaxErrorLine(error: ParseError): number {
  const isAfter = error.column === 0 && error.lineNumber > 1 && error.message !== DUPLICATE_KEY;
  return isAfter ? error.lineNumber - 1 : error.lineNumber;
}

function describeSyntaxError(error: ParseError): string {
  if (error.message === DUPLICATE_KEY) return "this key or table is there twice: keep one of them";
  const hint = 'write key = "text", key = 1, key = true or key = ["a", "b"]';
  return `not valid TOML: ${error.message.toLowerCase()}: ${hint}`;
}

/** `__proto__` would give its table inherited values that no schema sees. */
class ReservedKey extends Error {
  readonly line: number;
  constructor(line: number) {
    super("__proto__");
    this.line = line;
  }
}

type KeyNode = AST.TOMLKey["keys"][number];

/** Notes the line of every table, key and array element under its path. */
function markTable(
  table: AST.TOMLTopLevelTable | AST.TOMLTable | AST.TOMLInlineTable,
  base: Path,
  lines: Map<string, number>,
): void {
  for (const item of table.body) {
    refuseReserved(item.key.keys);
    if (item.type === "TOMLTable") {
      markPath(item.resolvedKey, item.loc.start.line, lines);
      markTable(item, item.resolvedKey, lines);
    } else {
      const path = [...base, ...item.key.keys.map(keyText)];
      markPath(path, item.loc.start.line, lines);
      markValue(item.value, path, lines);
    }
  }
}

function markValue(value: AST.TOMLContentNode, path: Path, lines: Map<string, number>): void {
  if (value.type === "TOMLInlineTable") markTable(value, path, lines);
  if (value.type !== "TOMLArray") return;
  for (const [index, element] of value.elements.entries()) {
    markPath([...path, index], element.loc.start.line, lines);
    markValue(element, [...path, index], lines);
  }
}

/** The first mention of a path wins: `[deploy]`, not the key below it. */
function markPath(path: Path, line: number, lines: Map<string, number>): void {
  for (let length = 1; length <= path.length; length++) {
    const name = pathName(path.slice(0, length));
    if (!lines.has(name)) lines.set(name, line);
  }
}

function refuseReserved(keys: readonly KeyNode[]): void {
  const reserved = keys.find((key) => keyText(key) === "__proto__");
  if (reserved !== undefined) throw new ReservedKey(reserved.loc.start.line);
}

function keyText(key: KeyNode): string {
  return key.type === "TOMLBare" ? key.name : key.value;
}

function pathName(path: Path): string {
  return JSON.stringify(path.map(String));
}

function lineOf(lines: ReadonlyMap<string, number>, path: Path): number {
  for (let length = path.length; length > 0; length--) {
    const line = lines.get(pathName(path.slice(0, length)));
    if (line !== undefined) return line;
  }
  return 1;
}

function describePath(path: Path): string {
  return path
    .map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`))
    .join("")
    .replace(/^\./, "");
}

interface Told {
  readonly path: Path;
  readonly message: string;
}

type RawIssue = Parameters<z.core.$ZodErrorMap>[0];

/** A final issue no longer says which table refused the key; the raw one does. */
function rememberKnownKeys(issue: RawIssue, knownKeys: Map<string, readonly string[]>): undefined {
  if (issue.code !== "unrecognized_keys" || !(issue.inst instanceof z.ZodObject)) return;
  const known = Object.entries(issue.inst.shape).filter(([, type]) => !isFormerKey(type));
  knownKeys.set(
    pathName(issue.path ?? []),
    known.map(([key]) => key),
  );
}

function isFormerKey(type: unknown): boolean {
  return type instanceof z.ZodOptional && type.unwrap() instanceof z.ZodNever;
}

function tellIssue(
  issue: z.core.$ZodIssue,
  {
    document,
    knownKeys,
    isSecret,
  }: {
    readonly document: unknown;
    readonly knownKeys: ReadonlyMap<string, readonly string[]>;
    readonly isSecret: (key: string) => boolean;
  },
): readonly Told[] {
  if (issue.code === "unrecognized_keys") {
    const known = knownKeys.get(pathName(issue.path)) ?? [];
    return issue.keys.map((key) => ({ path: [...issue.path, key], message: tellUnknownKey(key, known) }));
  }
  if (issue.code === "invalid_key") {
    const message = issue.issues[0]?.message ?? issue.message;
    return [{ path: issue.path, message: `${message}; found ${describeFound(String(issue.path.at(-1)))}` }];
  }
  if (issue.code === "invalid_type" && issue.expected === "never") {
    return [{ path: issue.path, message: issue.message }];
  }
  const found = valueAt(document, issue.path);
  if (found === undefined) return [{ path: issue.path, message: `is missing; it ${issue.message}` }];
  if (isSecret(String(issue.path[0]))) return [{ path: issue.path, message: issue.message }];
  return [{ path: issue.path, message: `${issue.message}; found ${describeFound(found)}` }];
}

function tellUnknownKey(key: string, known: readonly string[]): string {
  const nearest = nearestWord(key, known);
  if (nearest !== undefined) return `unknown key \`${key}\`: did you mean \`${nearest}\`?`;
  return `unknown key \`${key}\`: remove it, or write one of ${known.join(", ")}`;
}

function valueAt(document: unknown, path: Path): unknown {
  let value = document;
  for (const part of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, part)) return undefined;
    value = Reflect.get(value, part);
  }
  return value;
}

function describeFound(found: unknown): string {
  if (found instanceof Date) return "a date";
  if (typeof found === "number") return String(found);
  const text = JSON.stringify(found);
  return text.length <= FOUND_CHARS_MAX ? text : `${text.slice(0, FOUND_CHARS_MAX)}…`;
}
