// EventQueue: what happens next in virtual time. A binary heap; ties are broken by the order in which events were pushed,
// so that the same pushes always pop in the same order.

export class EventQueue<Event> {
  // Three parallel lists: a heap of objects costs twice the time at 100,000 pending events (measured).
  readonly #times: number[] = [];
  readonly #sequences: number[] = [];
  readonly #events: Event[] = [];
  #sequence = 0;

  get size(): number {
    return this.#events.length;
  }

  /** Infinity when it is empty. */
  get nextAtMs(): number {
    return this.#times[0] ?? Number.POSITIVE_INFINITY;
  }

  push(atMs: number, event: Event): void {
    this.#sequence += 1;
    let at = this.#events.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      // The newest of equal times stays behind.
      if ((this.#times[parent] as number) <= atMs) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#put(at, atMs, this.#sequence, event);
  }

  pop(): Event | undefined {
    const first = this.#events[0];
    const [time, sequence, last] = [this.#times.pop(), this.#sequences.pop(), this.#events.pop()];
    if (time === undefined || sequence === undefined || this.#events.length === 0) return first;
    let at = 0;
    for (let child = this.#earlierChild(at); child !== -1; child = this.#earlierChild(at)) {
      if (!this.#isEarlier(child, time, sequence)) break;
      this.#move(child, at);
      at = child;
    }
    this.#put(at, time, sequence, last as Event);
    return first;
  }

  #earlierChild(at: number): number {
    const left = 2 * at + 1;
    if (left >= this.#events.length) return -1;
    const right = left + 1;
    if (right >= this.#events.length) return left;
    const isRight = this.#isEarlier(right, this.#times[left] as number, this.#sequences[left] as number);
    return isRight ? right : left;
  }

  #isEarlier(at: number, time: number, sequence: number): boolean {
    const own = this.#times[at] as number;
    return own < time || (own === time && (this.#sequences[at] as number) < sequence);
  }

  #move(from: number, to: number): void {
    this.#put(to, this.#times[from] as number, this.#sequences[from] as number, this.#events[from] as Event);
  }

  #put(at: number, time: number, sequence: number, event: Event): void {
    this.#times[at] = time;
    this.#sequences[at] = sequence;
    this.#events[at] = event;
  }
}
