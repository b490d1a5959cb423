// ChangeFeed: who is told of changes, one by one, and then that all of one step were told.

import type { EntryChange } from "../mesh.ts";

export class ChangeFeed {
  readonly #changed = new Set<(change: EntryChange) => void>();
  readonly #settled = new Set<() => void>();
  #isUnsettled = false;

  onChange(listener: (change: EntryChange) => void): () => void {
    this.#changed.add(listener);
    return () => this.#changed.delete(listener);
  }

  onSettled(listener: () => void): () => void {
    this.#settled.add(listener);
    return () => this.#settled.delete(listener);
  }

  /** Something was told since the last `settle`. */
  get isUnsettled(): boolean {
    return this.#isUnsettled;
  }

  tell(change: EntryChange): void {
    this.#isUnsettled = true;
    for (const listener of this.#changed) listener(change);
  }

  /** Nothing happens if nothing was told. */
  settle(): void {
    if (!this.#isUnsettled) return;
    this.#isUnsettled = false;
    for (const listener of this.#settled) listener();
  }

  clear(): void {
    this.#changed.clear();
    this.#settled.clear();
  }
}
