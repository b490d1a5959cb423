// Watches: who follows a view of something that has a name. Each gets the newest view after a change; what came between is skipped.

export class Watches<Key> {
  readonly #listeners = new Map<Key, Set<() => void>>();

  changed(key: Key): void {
    for (const listener of this.#listeners.get(key) ?? []) listener();
  }

  /** Of every key. */
  allChanged(): void {
    for (const key of this.#listeners.keys()) this.changed(key);
  }

  /** `view` at once, unless it is null, and after each change, until `ended`. */
  async *watch<View>(key: Key, view: () => View | null, ended: AbortSignal): AsyncGenerator<View> {
    let wake = Promise.withResolvers<void>();
    const listener = () => wake.resolve();
    const listeners = this.#listeners.get(key) ?? new Set();
    this.#listeners.set(key, listeners.add(listener));
    ended.addEventListener("abort", listener, { once: true });
    try {
      while (!ended.aborted) {
        wake = Promise.withResolvers<void>();
        const now = view();
        if (now !== null) yield now;
        if (!ended.aborted) await wake.promise;
      }
    } finally {
      ended.removeEventListener("abort", listener);
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(key) === listeners) this.#listeners.delete(key);
    }
  }
}
