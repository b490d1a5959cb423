// Counters: what happened how often since the start, by name, as `metrics()` tells it.

export class Counters {
  readonly #counts = new Map<string, number>();

  readonly count = (counter: string, by = 1): void => {
    this.#counts.set(counter, (this.#counts.get(counter) ?? 0) + by);
  };

  entries(): Iterable<[string, number]> {
    return this.#counts.entries();
  }
}
