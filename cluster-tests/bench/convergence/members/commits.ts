// Commits: when each write of this host's VMs was stamped, which is when its way to the others begins.

import type { Write } from "../protocol.ts";
import { Condition, type MemberClock } from "./member-shell.ts";

/** A write that was due and is not committed by then never is. */
const COMMIT_TIMEOUT_MS = 30_000;

export class Commits {
  readonly #clock: MemberClock;
  readonly #condition = new Condition();
  #done: { readonly id: string; readonly atMs: number }[] = [];

  constructor(clock: MemberClock) {
    this.#clock = clock;
  }

  add(id: string): void {
    this.#done.push({ id, atMs: this.#clock.nowMs() });
    this.#condition.look();
  }

  begin(): void {
    this.#done = [];
  }

  /** As many as were due, in their order. */
  async take(dueMs: readonly number[]): Promise<readonly Write[]> {
    await this.#condition.until(() => this.#done.length >= dueMs.length, COMMIT_TIMEOUT_MS);
    if (this.#done.length !== dueMs.length)
      throw new Error(`bench: ${dueMs.length} writes were due, ${this.#done.length} were committed`);
    return this.#done.map((done, at) => ({ ...done, dueMs: dueMs[at] ?? done.atMs }));
  }
}
