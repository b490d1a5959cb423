// Key tables: the keys of a configuration file as its shape knows them, written between markers into a page whose prose people write.

import { type ZodType, z } from "zod";
import { describeDuration, type KeyWords, keyWords } from "../../mesh/index.ts";

/** A table of a page, by the name in its marker: `<!-- keys: [deploy] -->`. */
export type KeyTables = Readonly<Record<string, readonly Key[]>>;

interface Key {
  readonly name: string;
  readonly shape: ZodType;
}

const END = "<!-- end of keys -->";

/** `page` with each of `tables` as it is now. Throws for a table that the page does not have, and for a key without words. */
export function withKeyTables(page: string, tables: KeyTables): string {
  return Object.entries(tables).reduce((text, [name, keys]) => {
    const begin = `<!-- keys: ${name} -->\n`;
    const [before, rest = ""] = text.split(begin);
    const [, after] = rest.split(END);
    if (before === undefined || after === undefined) {
      throw new Error(`the page has no table for ${name}: write the lines ${begin.trim()} and ${END}`);
    }
    return `${before}${begin}${tableOf(name, keys)}\n${END}${rest.slice(rest.indexOf(END) + END.length)}`;
  }, page);
}

/** The keys at the top, and those of each table below it under the name that people write: [deploy], [[checks]]. */
export function tablesOf(top: string, shape: ZodType): KeyTables {
  const keys = keysOf(shape);
  const below = keys.flatMap(({ name, shape: value }): [string, readonly Key[]][] => {
    const inner = unwrapped(value);
    if (inner instanceof z.ZodObject) return [[`[${name}]`, keysOf(inner)]];
    const element = inner instanceof z.ZodArray ? unwrapped(inner.element as ZodType) : null;
    return element instanceof z.ZodObject ? [[`[[${name}]]`, keysOf(element)]] : [];
  });
  return { [top]: keys, ...Object.fromEntries(below) };
}

/** Those that a file may have. */
export function keysOf(shape: ZodType): readonly Key[] {
  const object = unwrapped(shape);
  if (!(object instanceof z.ZodObject)) throw new Error("it has no keys");
  const keys = Object.entries(object.shape).map(([name, value]) => ({ name, shape: value as ZodType }));
  return keys.filter(({ shape: value }) => !(unwrapped(value) instanceof z.ZodNever));
}

/** What it wraps: defaults, and what becomes of a value once it is read. The outermost first. */
function layersOf(shape: ZodType): readonly ZodType[] {
  const { innerType, in: input } = shape.def as { readonly innerType?: ZodType; readonly in?: ZodType };
  const inner = innerType ?? input;
  return inner === undefined ? [shape] : [shape, ...layersOf(inner)];
}

function unwrapped(shape: ZodType): ZodType {
  return layersOf(shape).at(-1) ?? shape;
}

/** Of all its layers; the outermost has the last word. */
function wordsOf(shape: ZodType): KeyWords {
  return Object.assign(
    {},
    ...layersOf(shape)
      .map((layer) => keyWords.get(layer))
      .reverse(),
  );
}

const COLUMNS = { means: "what it means", raised: "raised", lowered: "lowered" } as const;
type Column = keyof typeof COLUMNS;

function tableOf(table: string, keys: readonly Key[]): string {
  const rows = keys.map(({ name, shape }) => ({ name, shape, words: wordsOf(shape) }));
  const columns = (Object.keys(COLUMNS) as Column[]).filter((column) =>
    rows.some(({ words }) => words[column] !== undefined),
  );
  const cells = rows.map(({ name, shape, words }) => {
    const told = columns.map((column) => words[column] ?? "");
    if (told.every((text) => text === "")) {
      throw new Error(`${name} of ${table} has no words: say in its shape, with told(), what it means`);
    }
    return [`\`${name}\``, typeOf(shape, words), defaultOf(shape, words), ...told];
  });
  const heads = ["key", "type", "default", ...columns.map((column) => COLUMNS[column])];
  return [heads, heads.map(() => "---"), ...cells].map(rowOf).join("\n");
}

/** An empty cell is one space wide, as people write it. */
function rowOf(cells: readonly string[]): string {
  return `|${cells.map((cell) => (cell === "" ? " " : ` ${cell} `)).join("|")}|`;
}

function typeOf(shape: ZodType, { type }: KeyWords): string {
  if (type !== undefined) return type;
  const inner = unwrapped(shape);
  if (inner instanceof z.ZodObject) return "table";
  if (inner instanceof z.ZodBoolean) return "boolean";
  if (inner instanceof z.ZodNumber) return `${told(inner.minValue)} to ${told(inner.maxValue)}`;
  if (inner instanceof z.ZodEnum) return inner.options.map((option) => `\`"${option}"\``).join(", ");
  throw new Error(`what may be written is not known of a ${inner.type}: say its type with told()`);
}

function told(bound: number | null): string {
  if (bound === null) throw new Error("a number without a bound");
  return bound.toLocaleString("en");
}

function defaultOf(shape: ZodType, { unset, unit }: KeyWords): string {
  if (unset !== undefined) return unset;
  const layers = layersOf(shape);
  if (layers.some((layer) => layer instanceof z.ZodPrefault)) return "its defaults";
  const layer = layers.find((one) => one instanceof z.ZodDefault);
  if (layer !== undefined) return `\`${written(layer.def.defaultValue, unit)}\``;
  if (layers.some((one) => one instanceof z.ZodOptional)) {
    throw new Error("what holds without an optional key is not known: say it with told()");
  }
  return "required";
}

function written(value: unknown, unit: "ms" | undefined): string {
  const text = unit === "ms" ? describeDuration(Number(value)) : value;
  return JSON.stringify(text).replaceAll(",", ", ");
}
