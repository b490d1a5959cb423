// Seen states: 64 bits of each, and the state that it was first reached from. Typed arrays: about 30 bytes a state. That two of ten
// million states have one hash has a chance of 3 in a million; then one of them is not looked at.

const FIRST_CAPACITY = 1 << 16;

export class SeenStates {
  #high = new Uint32Array(FIRST_CAPACITY);
  #low = new Uint32Array(FIRST_CAPACITY);
  #parents = new Uint32Array(FIRST_CAPACITY);
  /** Open addressing; 0 is free, else index + 1. */
  #table = new Uint32Array(2 * FIRST_CAPACITY);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Its index if it is new, else -1. `parent`: an index; the first state is its own. */
  add(high: number, low: number, parent: number): number {
    if (2 * this.#size >= this.#table.length) this.#grow();
    const slot = this.#find(high, low);
    if (this.#table[slot] !== 0) return -1;
    const index = this.#size;
    this.#table[slot] = index + 1;
    this.#high[index] = high;
    this.#low[index] = low;
    this.#parents[index] = parent;
    this.#size += 1;
    return index;
  }

  has(high: number, low: number): boolean {
    return this.#table[this.#find(high, low)] !== 0;
  }

  /** Hashes from the first state to this one. */
  pathTo(index: number): readonly { readonly high: number; readonly low: number }[] {
    const path: { high: number; low: number }[] = [];
    for (let at = index; ; at = this.#parents[at] ?? 0) {
      path.push({ high: this.#high[at] ?? 0, low: this.#low[at] ?? 0 });
      if (at === (this.#parents[at] ?? 0)) return path.reverse();
    }
  }

  #find(high: number, low: number): number {
    const mask = this.#table.length - 1;
    let slot = (low ^ (high >>> 7)) & mask;
    for (;;) {
      const index = this.#table[slot] ?? 0;
      if (index === 0) return slot;
      if (this.#low[index - 1] === low && this.#high[index - 1] === high) return slot;
      slot = (slot + 1) & mask;
    }
  }

  #grow(): void {
    const capacity = 2 * this.#high.length;
    this.#high = widened(this.#high, capacity);
    this.#low = widened(this.#low, capacity);
    this.#parents = widened(this.#parents, capacity);
    this.#table = new Uint32Array(2 * capacity);
    for (let index = 0; index < this.#size; index += 1) {
      this.#table[this.#find(this.#high[index] ?? 0, this.#low[index] ?? 0)] = index + 1;
    }
  }
}

function widened(values: Uint32Array, length: number): Uint32Array<ArrayBuffer> {
  const wider = new Uint32Array(length);
  wider.set(values);
  return wider;
}
