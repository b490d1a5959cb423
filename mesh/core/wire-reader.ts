// WireReader: takes validated fields out of an untrusted msgpack array. It throws `WireError`, which only the codec sees.

import { checkEntryBounds } from "./entry.ts";

export class WireError extends Error {
  override readonly name = "WireError";
}

/** One array of fields, read left to right; `end` refuses what is left over: unknown fields are not guessed at. */
export class WireReader {
  readonly #fields: readonly unknown[];
  readonly #what: string;
  #next = 0;

  constructor(fields: unknown, what: string) {
    if (!Array.isArray(fields)) throw new WireError(`${what}: not a list`);
    this.#fields = fields;
    this.#what = what;
  }

  /** A whole number from 0 to `max`. */
  int(name: string, max: number): number {
    const value = this.#take();
    if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > max) this.#refuse(name);
    return value as number;
  }

  intOrNull(name: string, max: number): number | null {
    if (this.#fields[this.#next] === null) return this.#take() as null;
    return this.int(name, max);
  }

  /** Fields of a part that another reader reads. */
  next(): unknown {
    return this.#take();
  }

  flag(name: string): boolean {
    const value = this.#take();
    if (typeof value !== "boolean") this.#refuse(name);
    return value as boolean;
  }

  /** 1 to `charsMax` characters. */
  text(name: string, charsMax: number): string {
    const value = this.#take();
    if (typeof value !== "string" || value.length === 0 || value.length > charsMax) this.#refuse(name);
    return value as string;
  }

  /** A copy: the frame it came in must not live as long as it does. */
  bytes(name: string, bytesMax: number): Uint8Array {
    const value = this.#take();
    if (!(value instanceof Uint8Array) || value.length > bytesMax) return this.#refuse(name);
    return new Uint8Array(value);
  }

  key(name: string): string {
    const value = this.#take();
    if (typeof value !== "string" || checkEntryBounds(value, null) !== undefined) return this.#refuse(name);
    return value;
  }

  /** An entry's value; null is a tombstone. */
  value(name: string, bytesMax: number): Uint8Array | null {
    if (this.#fields[this.#next] !== null) return this.bytes(name, bytesMax);
    this.#next += 1;
    return null;
  }

  list<Item>(name: string, max: number, read: (fields: unknown) => Item): readonly Item[] {
    const value = this.#take();
    if (!Array.isArray(value) || value.length > max) return this.#refuse(name);
    return value.map(read);
  }

  /** Refuses what the fields say together. */
  require(isTrue: boolean, rule: string): void {
    if (!isTrue) this.#refuse(rule);
  }

  end(): void {
    if (this.#next !== this.#fields.length) this.#refuse("number of fields");
  }

  #take(): unknown {
    const value = this.#fields[this.#next];
    this.#next += 1;
    return value;
  }

  #refuse(name: string): never {
    throw new WireError(`${this.#what}: bad ${name}`);
  }
}
