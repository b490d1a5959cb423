// Answer shape: how pages write what an answer holds, `{app, steps: [{kind, vms}], end | null, …}`, and whether an answer is so.

export type Shape =
  | { readonly kind: "any" }
  | { readonly kind: "list"; readonly of: Shape }
  /** `isOpen`: it has more keys than the page tells. */
  | { readonly kind: "object"; readonly keys: ReadonlyMap<string, Shape>; readonly isOpen: boolean };

const TOKEN = /[{}[\],:|]|"[^"]*"|[^\s{}[\],:|]+/g;

/** Throws for what is none. */
export function parseShape(text: string): Shape {
  return new ShapeReader(text).read();
}

class ShapeReader {
  readonly #text: string;
  readonly #tokens: string[];

  constructor(text: string) {
    this.#text = text;
    this.#tokens = [...(text.match(TOKEN) ?? [])];
  }

  /** With what else it may be after a `|`: null. */
  read(): Shape {
    const token = this.#take();
    const shape: Shape = token === "{" ? this.#object() : token === "[" ? this.#list() : { kind: "any" };
    if (this.#tokens[0] === "|") this.#tokens.splice(0, 2);
    return shape;
  }

  /** Of several elements the first says it. */
  #list(): Shape {
    const of = this.read();
    while (this.#take() !== "]");
    return { kind: "list", of };
  }

  #object(): Shape {
    const keys = new Map<string, Shape>();
    let isOpen = false;
    for (let token = this.#take(); token !== "}"; token = this.#take()) {
      if (token === "…") isOpen = true;
      else if (token !== ",") keys.set(token.replaceAll('"', ""), this.#below());
    }
    return { kind: "object", keys, isOpen };
  }

  #below(): Shape {
    if (this.#tokens[0] !== ":") return { kind: "any" };
    this.#take();
    return this.read();
  }

  #take(): string {
    const token = this.#tokens.shift();
    if (token === undefined) throw new Error(`${this.#text} has no end`);
    return token;
  }
}

/** Each key that the answer has and the shape has not, and the other way; nothing is told of what is null. */
export function shapeFaults(shape: Shape, value: unknown, path = ""): readonly string[] {
  if (shape.kind === "any" || value === null) return [];
  if (shape.kind === "list") {
    if (!Array.isArray(value)) return [`${path} is no list`];
    return [...new Set(value.flatMap((element) => shapeFaults(shape.of, element, `${path}[]`)))];
  }
  if (typeof value !== "object" || Array.isArray(value)) return [`${path} is no object`];
  const there = Object.keys(value);
  const untold = shape.isOpen ? [] : there.filter((key) => !shape.keys.has(key));
  const told = [...shape.keys].flatMap(([key, below]) =>
    there.includes(key)
      ? shapeFaults(below, Reflect.get(value, key), `${path}.${key}`)
      : [`${path}.${key} is not there`],
  );
  return [...untold.map((key) => `${path}.${key} is not told`), ...told];
}

/** What stands in a page after `name`: its shape. Throws where it has none. */
export function shapeIn(page: string, name: string): Shape {
  const from = page.search(new RegExp(`\`${name}\`(?:, \`[^\`]*\`)*:`));
  const [, shape] = from === -1 ? [] : (/: (?:[^`]*)`([{[][^`]*)`/.exec(page.slice(from)) ?? []);
  if (shape === undefined) throw new Error(`the page has no shape of ${name}`);
  return parseShape(shape);
}
