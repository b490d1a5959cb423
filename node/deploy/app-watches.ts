// App watches: who follows the view of an app. Each gets the newest view after a change; what came between is skipped.

import type { AppName } from "../../mesh/index.ts";
import type { AppView } from "./app-view.ts";

export class AppWatches {
  readonly #listeners = new Map<AppName, Set<() => void>>();

  changed(app: AppName): void {
    for (const listener of this.#listeners.get(app) ?? []) listener();
  }

  /** `view` at once, unless it is null, and after each change, until `ended`. */
  async *watch(app: AppName, view: () => AppView | null, ended: AbortSignal): AsyncGenerator<AppView> {
    let wake = Promise.withResolvers<void>();
    const listener = () => wake.resolve();
    const listeners = this.#listeners.get(app) ?? new Set();
    this.#listeners.set(app, listeners.add(listener));
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
      if (listeners.size === 0 && this.#listeners.get(app) === listeners) this.#listeners.delete(app);
    }
  }
}
