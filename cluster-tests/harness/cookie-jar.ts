// Cookie jar: what a client was told to keep, as browsers keep it, of one host and path.

export class CookieJar {
  readonly #values = new Map<string, string>();

  get isEmpty(): boolean {
    return this.#values.size === 0;
  }

  /** Value of a `Cookie` header. */
  get header(): string {
    return [...this.#values].map(([name, value]) => `${name}=${value}`).join("; ");
  }

  /** Values of `Set-Cookie`. */
  take(lines: readonly string[]): void {
    for (const line of lines) {
      const [pair = "", ...attributes] = line.split("; ");
      const at = pair.indexOf("=");
      if (attributes.includes("Max-Age=0")) this.#values.delete(pair.slice(0, at));
      else this.#values.set(pair.slice(0, at), pair.slice(at + 1));
    }
  }

  copy(): CookieJar {
    const copy = new CookieJar();
    for (const [name, value] of this.#values) copy.#values.set(name, value);
    return copy;
  }
}
