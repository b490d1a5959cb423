// Time series: what all members did in each slot of time, added up, from counters that only grow; and a small chart of it.

export type Counters = Readonly<Record<string, number>>;

interface Slot {
  /** Since the series began, at the slot's end. */
  readonly atMs: number;
  /** By counter, of all members together, in this slot. */
  readonly counts: Counters;
}

const BARS = " ▁▂▃▄▅▆▇█";

/** Adds up what each member counted since the last reading. A member that began anew counts from zero. */
export class TimeSeries {
  readonly slots: Slot[] = [];
  readonly #names: readonly string[];
  readonly #read: () => ReadonlyMap<string, Counters>;
  readonly #beganAtMs = performance.now();
  #last: Map<string, Counters>;
  #timer: NodeJS.Timeout | undefined;

  /** `read` gives the counters of what runs now, by a name that no other life has. */
  constructor(names: readonly string[], read: () => ReadonlyMap<string, Counters>, slotMs: number) {
    this.#names = names;
    this.#read = read;
    this.#last = new Map(read());
    this.#timer = setInterval(() => this.#take(), slotMs);
  }

  /** With what came since the last slot. */
  stop(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#take();
  }

  total(name: string): number {
    return this.slots.reduce((sum, { counts }) => sum + (counts[name] ?? 0), 0);
  }

  max(name: string): number {
    return Math.max(0, ...this.slots.map(({ counts }) => counts[name] ?? 0));
  }

  /** A line for each counter: its slots as bars, the highest slot, and the sum. */
  chart(): readonly string[] {
    return this.#names.map((name) => {
      const max = this.max(name);
      const bars = this.slots.map(({ counts }) => barOf(counts[name] ?? 0, max));
      return `${name.padEnd(14)}|${bars.join("")}| at most ${max}, in all ${this.total(name)}`;
    });
  }

  #take(): void {
    const now = this.#read();
    const counts = Object.fromEntries(this.#names.map((name) => [name, this.#grown(now, name)]));
    for (const [life, counters] of now) this.#last.set(life, counters);
    this.slots.push({ atMs: Math.round(performance.now() - this.#beganAtMs), counts });
  }

  #grown(now: ReadonlyMap<string, Counters>, name: string): number {
    return [...now].reduce((sum, [life, counters]) => {
      const before = this.#last.get(life)?.[name] ?? 0;
      return sum + Math.max(0, (counters[name] ?? 0) - before);
    }, 0);
  }
}

function barOf(value: number, max: number): string {
  return BARS[value === 0 ? 0 : Math.max(1, Math.round((8 * value) / max))] ?? " ";
}
