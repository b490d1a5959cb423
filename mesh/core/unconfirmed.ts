// Unconfirmed: the states that came from our own disk at the start and that nobody has vouched for since. They are signed,
// so they were true; whether they still are is known once the cluster shows them, or newer ones.

import type { OwnerId } from "./ids.ts";
import { compareVersions, type Version } from "./version.ts";

export class Unconfirmed {
  /** As they were read. */
  readonly #versions = new Map<OwnerId, Version>();

  get size(): number {
    return this.#versions.size;
  }

  has(owner: OwnerId): boolean {
    return this.#versions.has(owner);
  }

  add(owner: OwnerId, version: Version): void {
    this.#versions.set(owner, version);
  }

  remove(owner: OwnerId): void {
    this.#versions.delete(owner);
  }

  clear(): void {
    this.#versions.clear();
  }

  /**
   * A peer showed `shown` of it, and `inForce` is ours by now. That it has a newer one confirms nothing: ours is outdated
   * until that has taken its place.
   */
  show(owner: OwnerId, shown: Version, inForce: Version): void {
    const read = this.#versions.get(owner);
    if (read === undefined) return;
    if (compareVersions(shown, read) === 0 || compareVersions(inForce, read) > 0)
      this.#versions.delete(owner);
  }
}
