// Shape: what JSON that another process wrote must look like before it is believed. It does what answers need and no more: a command would
// wait longer for a library of schemas than for the agent.

import { fail, ok, type Result } from "../../mesh/words.ts";

/** `at`: where in the JSON the value is, "" for all of it. */
type Reader<Value> = (value: unknown, at: string) => Result<Value>;

export class Shape<Value> {
  /** Fails with what is where it should not be. */
  readonly readAt: Reader<Value>;

  constructor(readAt: Reader<Value>) {
    this.readAt = readAt;
  }

  read(value: unknown): Result<Value> {
    return this.readAt(value, "");
  }

  /** Throws where `read` fails. */
  parse(value: unknown): Value {
    const read = this.read(value);
    if (read.ok) return read.value;
    throw new Error(`the answer is not what this release of the command can read: ${read.error}`);
  }

  nullable(): Shape<Value | null> {
    return new Shape<Value | null>((value, at) => (value === null ? ok(null) : this.readAt(value, at)));
  }

  optional(): Shape<Value | undefined> {
    return new Shape<Value | undefined>((value, at) =>
      value === undefined ? ok(undefined) : this.readAt(value, at),
    );
  }

  nullish(): Shape<Value | null | undefined> {
    return this.nullable().optional();
  }

  /** `absent` stands for what is not there. */
  default(absent: Value): Shape<Value> {
    return new Shape<Value>((value, at) => (value === undefined ? ok(absent) : this.readAt(value, at)));
  }

  /** Of its values those alone for which `isOne` holds, which `what` names. */
  that(isOne: (value: Value) => boolean, what: string): Shape<Value> {
    return new Shape<Value>((value, at) => {
      const read = this.readAt(value, at);
      return !read.ok || isOne(read.value) ? read : mismatch(at, what);
    });
  }
}

type Keys = Readonly<Record<string, Shape<unknown>>>;

export type ValueOf<Of> = Of extends Shape<infer Value> ? Value : never;

type OptionalKey<Of extends Keys> = {
  [Key in keyof Of]: undefined extends ValueOf<Of[Key]> ? Key : never;
}[keyof Of];

type ObjectOf<Of extends Keys> = { [Key in Exclude<keyof Of, OptionalKey<Of>>]: ValueOf<Of[Key]> } & {
  [Key in OptionalKey<Of>]?: ValueOf<Of[Key]>;
};

class ObjectShape<Of extends Keys> extends Shape<ObjectOf<Of>> {
  readonly #keys: Of;

  constructor(keys: Of) {
    super((value, at) => readObject(keys, value, at) as Result<ObjectOf<Of>>);
    this.#keys = keys;
  }

  extend<More extends Keys>(more: More): ObjectShape<Of & More> {
    return new ObjectShape({ ...this.#keys, ...more });
  }
}

/** The keys that are asked for come first, in this order; whatever else was said follows. */
function readObject(keys: Keys, value: unknown, at: string): Result<unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return mismatch(at, "an object");
  const said = new Map<string, unknown>(Object.entries(value));
  const known = new Map<string, unknown>();
  for (const [key, shape] of Object.entries(keys)) {
    const field = shape.readAt(said.get(key), at === "" ? key : `${at}.${key}`);
    if (!field.ok) return field;
    if (field.value !== undefined) known.set(key, field.value);
    said.delete(key);
  }
  return ok(Object.fromEntries([...known, ...said]));
}

function readList<Value>(element: Shape<Value>, value: unknown, at: string): Result<Value[]> {
  if (!Array.isArray(value)) return mismatch(at, "a list");
  const values: Value[] = [];
  for (const [index, one] of value.entries()) {
    const read = element.readAt(one, `${at}[${index}]`);
    if (!read.ok) return read;
    values.push(read.value);
  }
  return ok(values);
}

function readRecord<Value>(of: Shape<Value>, value: unknown, at: string): Result<Record<string, Value>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return mismatch(at, "an object");
  const values: [string, Value][] = [];
  for (const [key, one] of Object.entries(value)) {
    const read = of.readAt(one, at === "" ? key : `${at}.${key}`);
    if (!read.ok) return read;
    values.push([key, read.value]);
  }
  return ok(Object.fromEntries(values));
}

function mismatch(at: string, what: string): Result<never> {
  return fail(`${at === "" ? "it" : at} is not ${what}`);
}

const anything: Shape<unknown> = new Shape<unknown>((value) => ok(value));
const text: Shape<string> = new Shape<string>((value, at) =>
  typeof value === "string" ? ok(value) : mismatch(at, "text"),
);
const number: Shape<number> = new Shape<number>((value, at) =>
  typeof value === "number" ? ok(value) : mismatch(at, "a number"),
);
const boolean: Shape<boolean> = new Shape<boolean>((value, at) =>
  typeof value === "boolean" ? ok(value) : mismatch(at, "true or false"),
);

/** Further keys of an object pass: a newer agent may say more. */
export const s = {
  unknown: (): Shape<unknown> => anything,
  string: (): Shape<string> => text,
  number: (): Shape<number> => number,
  boolean: (): Shape<boolean> => boolean,
  literal: <const Value extends string | number | boolean>(one: Value): Shape<Value> => oneOf([one]),
  enum: <const Value extends string>(values: readonly Value[]): Shape<Value> => oneOf(values),
  array: <Value>(element: Shape<Value>): Shape<Value[]> =>
    new Shape<Value[]>((value, at) => readList(element, value, at)),
  record: <Value>(of: Shape<Value>): Shape<Record<string, Value>> =>
    new Shape<Record<string, Value>>((value, at) => readRecord(of, value, at)),
  object: <Of extends Keys>(keys: Of): ObjectShape<Of> => new ObjectShape(keys),
} as const;

function oneOf<Value extends string | number | boolean>(values: readonly Value[]): Shape<Value> {
  return new Shape<Value>((value, at) => {
    const known = values.find((one) => one === value);
    return known === undefined ? mismatch(at, `one of ${values.join(", ")}`) : ok(known);
  });
}
