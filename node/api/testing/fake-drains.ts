// Fake drains: hosts that are drained as far as a test says, for the tests of the API and of the command.

import type { MemberName } from "../../../mesh/index.ts";
import type { DrainView, HostDrains } from "../../deploy/drain-view.ts";
import { Watches } from "../../deploy/watches.ts";

export class FakeDrains implements HostDrains {
  readonly #shown = new Map<MemberName, DrainView>();
  readonly #watches = new Watches<MemberName>();
  /** Why records cannot be read; null: they can. */
  lack: string | null = null;

  #watched = 0;
  readonly #onWatch = new Set<() => void>();

  /** Resolves once so many have taken their first view. */
  async whenWatched(count: number): Promise<void> {
    while (this.#watched < count) await new Promise<void>((resolve) => this.#onWatch.add(resolve));
  }

  /** A host that was never shown is not known. */
  show(view: DrainView): void {
    this.#shown.set(view.host, view);
    this.#watches.changed(view.host);
  }

  async read(): Promise<string | null> {
    return this.lack;
  }

  view(host: MemberName): DrainView | null {
    return this.#shown.get(host) ?? null;
  }

  watch(host: MemberName, signal: AbortSignal): AsyncGenerator<DrainView> {
    let isFirst = true;
    const view = () => {
      if (isFirst) this.#watched += 1;
      if (isFirst) for (const wake of this.#onWatch) wake();
      isFirst = false;
      return this.view(host);
    };
    return this.#watches.watch(host, view, signal);
  }
}
