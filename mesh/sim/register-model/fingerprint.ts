// Fingerprint: 64 bits of a state. Voters that have had the same part in every list are alike: renaming them makes no other state,
// so what is known of each (its column) goes in sorted.

/** Two numbers of 32 bits, mixed as MurmurHash3's finalizer does (Appleby, 2011). */
export class Fingerprint {
  high = 0;
  low = 0;
  readonly #columns: number;
  readonly #highs: number[];
  readonly #lows: number[];

  constructor(columns: number) {
    this.#columns = columns;
    this.#highs = Array.from({ length: columns }, () => 0);
    this.#lows = Array.from({ length: columns }, () => 0);
  }

  begin(): void {
    this.high = 0x9e3779b9 | 0;
    this.low = 0x7f4a7c15;
  }

  add(part: number): void {
    let high = Math.imul(this.high ^ part, 0x85ebca6b);
    high ^= high >>> 13;
    let low = Math.imul((this.low + part) | 0, 0xc2b2ae35);
    low ^= low >>> 16;
    this.high = (Math.imul(high, 5) + low) | 0;
    this.low = (Math.imul(low, 9) ^ high) | 0;
  }

  /** What was added since `begin` is the column of this number. */
  endColumn(column: number): void {
    this.#highs[column] = this.high;
    this.#lows[column] = this.low;
  }

  /** Adds all columns, in an order that does not depend on their numbers. */
  addColumns(): void {
    const [highs, lows] = [this.#highs, this.#lows];
    for (let at = 1; at < this.#columns; at += 1) {
      const high = highs[at] ?? 0;
      const low = lows[at] ?? 0;
      let to = at;
      for (; to > 0; to -= 1) {
        const before = highs[to - 1] ?? 0;
        if (before < high || (before === high && (lows[to - 1] ?? 0) <= low)) break;
        highs[to] = before;
        lows[to] = lows[to - 1] ?? 0;
      }
      highs[to] = high;
      lows[to] = low;
    }
    for (let at = 0; at < this.#columns; at += 1) {
      this.add(highs[at] ?? 0);
      this.add(lows[at] ?? 0);
    }
  }

  end(): void {
    this.high = finalized(this.high) >>> 0;
    this.low = finalized(this.low) >>> 0;
  }
}

function finalized(value: number): number {
  let mixed = value ^ (value >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
