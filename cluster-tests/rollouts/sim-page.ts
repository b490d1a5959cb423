// Sim page: what a client has open: a page, which loads one thing after the other. `pinned` is judged at each of them.

import assert from "node:assert/strict";

interface Page {
  readonly release: number;
  /** Of the record by which it was asked for. */
  readonly epoch: number;
  /** From when on it is not promised anything any more. */
  readonly untilMs: number;
}

/** What is loaded for one page; the pages of some clients load much more than those of others. */
const LOADS_OF_PAGES = [1, 4, 9, 40];

export class SimPage {
  readonly #loads: number;
  #left = 0;
  #page: Page | null = null;
  /** What it asks for now is a page itself. */
  isPage = true;

  constructor(client: number) {
    this.#loads = LOADS_OF_PAGES[client % LOADS_OF_PAGES.length] ?? 1;
  }

  /** It asks for something. */
  begin(): void {
    this.isPage = this.#left === 0;
    this.#left = this.isPage ? this.#loads : this.#left - 1;
  }

  isOver(nowMs: number): boolean {
    return this.#page !== null && this.#page.untilMs <= nowMs;
  }

  /** The page was answered; `maxAgeMs`: null if nobody promised anything of it. */
  opened(maxAgeMs: number | null, page: Omit<Page, "untilMs"> & { readonly nowMs: number }): void {
    this.#page = maxAgeMs === null ? null : { ...page, untilMs: page.nowMs + maxAgeMs };
  }

  /** What it loads was answered. `isExcused`: between two epochs its old VMs were taken away, as is said of that. */
  loaded(
    answer: { readonly release: number; readonly epoch: number; readonly sentAtMs: number },
    who: string,
    isExcused: (from: number, to: number) => boolean,
  ): void {
    const page = this.#page;
    if (page === null || page.release === answer.release || page.untilMs <= answer.sentAtMs) return;
    assert.ok(
      isExcused(page.epoch, answer.epoch),
      `pinned: ${who}, of v${answer.release} at epoch ${answer.epoch}, for a page of v${page.release} at epoch ${page.epoch}`,
    );
  }
}
