// Arrivals: how the newest version of each entry came here. A bounded memory: what came longest ago is forgotten first.

import { compareVersions, type Version } from "../core/version.ts";
import { ARRIVALS_MAX } from "../limits.ts";
import type { Arrival, Entry, EntryChange } from "../mesh.ts";

interface Noted extends Pick<Arrival, "path" | "from"> {
  readonly version: Version;
  readonly atMs: number;
}

export class Arrivals {
  readonly #nowMs: () => number;
  readonly #max: number;
  /** By owner and key. Insertion order is age. */
  readonly #noted = new Map<string, Noted>();

  /** `nowMs`: a clock that never goes back. */
  constructor(nowMs: () => number, max: number = ARRIVALS_MAX) {
    this.#nowMs = nowMs;
    this.#max = max;
  }

  note({ owner, key, version, path, from }: EntryChange): void {
    const slot = slotOf({ owner, key });
    this.#noted.delete(slot);
    // It is gone, and its version may come again by another way.
    if (path === "forgotten") return;
    this.#noted.set(slot, { version, path, from, atMs: this.#nowMs() });
    if (this.#noted.size <= this.#max) return;
    const [oldest] = this.#noted.keys();
    if (oldest !== undefined) this.#noted.delete(oldest);
  }

  /** Of this very version; null: forgotten, or never told. */
  of(entry: Pick<Entry, "owner" | "key" | "version">): Arrival | null {
    const noted = this.#noted.get(slotOf(entry));
    if (noted === undefined || compareVersions(noted.version, entry.version) !== 0) return null;
    const { path, from, atMs } = noted;
    return { path, from, agoMs: this.#nowMs() - atMs };
  }
}

/** Owners have no spaces. */
function slotOf({ owner, key }: Pick<Entry, "owner" | "key">): string {
  return `${owner} ${key}`;
}
