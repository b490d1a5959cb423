// Interner: the parts of a state as small numbers. Equal parts (by key) have one number, so a state is a few integers, and what a
// step of the real code makes of a part is computed once.

export class Interner<Item> {
  readonly #ids = new Map<string, number>();
  readonly #items: Item[] = [];

  get size(): number {
    return this.#items.length;
  }

  /** The number of what has this key; the first that has it is kept. */
  idOf(key: string, item: Item): number {
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    const id = this.#items.length;
    this.#ids.set(key, id);
    this.#items.push(item);
    return id;
  }

  get(id: number): Item {
    const item = this.#items[id];
    if (item === undefined) throw new Error(`bug: nothing has the number ${id}`);
    return item;
  }
}

/** Results by two small numbers. */
export class Memo<Result> {
  readonly #rows: Map<number, Result>[] = [];

  get(row: number, column: number, compute: () => Result): Result {
    const known = this.find(row, column);
    return known === undefined ? this.set(row, column, compute()) : known;
  }

  find(row: number, column: number): Result | undefined {
    return this.#rows[row]?.get(column);
  }

  set(row: number, column: number, result: Result): Result {
    let results = this.#rows[row];
    if (results === undefined) {
      results = new Map();
      this.#rows[row] = results;
    }
    results.set(column, result);
    return result;
  }
}

/** Sets of small numbers, as numbers. */
export class SetInterner {
  readonly #sets = new Interner<readonly number[]>();
  readonly #with = new Memo<number>();
  readonly #without = new Memo<number>();
  readonly empty: number = this.#idOf([]);

  get(id: number): readonly number[] {
    return this.#sets.get(id);
  }

  add(id: number, member: number): number {
    return this.#with.get(id, member, () => {
      const members = this.get(id);
      if (members.includes(member)) return id;
      return this.#idOf([...members, member].sort((left, right) => left - right));
    });
  }

  remove(id: number, member: number): number {
    return this.#without.get(id, member, () => this.#idOf(this.get(id).filter((other) => other !== member)));
  }

  #idOf(members: readonly number[]): number {
    return this.#sets.idOf(members.join(" "), members);
  }
}
