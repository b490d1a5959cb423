// Floor books: what a member of a floor writes down: its own writes and when others' arrived. An event is its id, padded.

import type { Answers, Commands, Write } from "../protocol.ts";
import { Condition, type MemberClock, runSchedule } from "./member-shell.ts";

const PADDING = ".";

export class FloorBooks {
  readonly #name: string;
  readonly #clock: MemberClock;
  readonly #arrivals = new Map<string, number>();
  readonly #condition = new Condition();
  #written = 0;

  constructor(name: string, clock: MemberClock) {
    this.#name = name;
    this.#clock = clock;
  }

  arrived(event: string): void {
    const id = event.slice(0, event.indexOf(PADDING));
    if (this.#arrivals.has(id)) return;
    this.#arrivals.set(id, this.#clock.nowMs());
    this.#condition.look();
  }

  /** `send` returns when it was committed: at once where that is the moment in which it goes out. */
  async run(
    { atMs, payloadBytes }: Commands["run"],
    send: (event: string) => Promise<number> | number,
  ): Promise<Answers["run"]> {
    const writes: Promise<Write>[] = [];
    await runSchedule(atMs, this.#clock, (dueMs) => {
      this.#written += 1;
      const id = `${this.#name}/${this.#written}`;
      const sent = send(`${id}${PADDING}`.padEnd(payloadBytes, PADDING));
      writes.push(Promise.resolve(sent).then((committedMs) => ({ id, dueMs, atMs: committedMs })));
    });
    return { writes: await Promise.all(writes) };
  }

  async gather({ ids, timeoutMs }: Commands["gather"]): Promise<Answers["gather"]> {
    await this.#condition.until(() => ids.every((id) => this.#arrivals.has(id)), timeoutMs);
    const arrivals = ids.map((id) => ({ id, storedMs: this.#arrivals.get(id) ?? null, inForceMs: null }));
    return { arrivals };
  }
}
