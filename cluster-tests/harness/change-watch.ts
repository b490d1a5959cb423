// Change watch: what must hold at one observer at each event, judged as its changes come, and a copy of its store made of
// nothing but these. Tests of faults keep to this: a key below `vm/` is never deleted, and in one life of its owner what was
// deleted is not written again. (Another life may: a raise above a life that the disk forgot writes all that is live.)

import { compareStarts, compareVersions, describeVersion } from "../../mesh/core/version.ts";
import type { HeldChange, HeldEntry } from "./mesh-protocol.ts";

export class ChangeWatch {
  readonly #observer: string;
  /** By owner, then key. */
  readonly #held = new Map<string, Map<string, HeldEntry>>();
  readonly #seen = new Map<string, HeldChange>();
  /** Live `vm/*` entries of all owners after each event, the first as it began. */
  readonly routes: number[] = [];
  readonly violations: string[] = [];

  constructor(observer: string, entries: readonly HeldEntry[]) {
    this.#observer = observer;
    for (const entry of entries) this.#keep(entry);
    this.routes.push(entries.filter(({ key }) => key.startsWith("vm/")).length);
  }

  get held(): ReadonlyMap<string, ReadonlyMap<string, HeldEntry>> {
    return this.#held;
  }

  entry(owner: string, key: string): HeldEntry | undefined {
    return this.#held.get(owner)?.get(key);
  }

  /** The highest version of an owner's live entries. */
  newest(owner: string): HeldEntry["version"] | undefined {
    const versions = [...(this.#held.get(owner)?.values() ?? [])].map(({ version }) => version);
    return versions.sort(compareVersions).at(-1);
  }

  see(change: HeldChange): void {
    const { owner, key, version, hash, routes } = change;
    const id = `${owner} ${key}`;
    const before = this.#seen.get(id) ?? this.entry(owner, key);
    if (before !== undefined && compareVersions(before.version, version) >= 0)
      this.#violate("single-writer", change, `after ${describeVersion(before.version)}`);
    if (before?.hash === null && hash !== null && compareStarts(before.version, version) === 0)
      this.#violate("no-resurrection", change, "");
    if (hash === null && key.startsWith("vm/")) this.#violate("no-empty-table", change, "deleted");
    const last = this.routes.at(-1) ?? 0;
    if (routes < last) this.#violate("no-empty-table", change, `${last} routes became ${routes}`);
    this.routes.push(routes);
    this.#seen.set(id, change);
    if (hash === null) this.#held.get(owner)?.delete(key);
    else this.#keep({ owner, key, version, hash });
  }

  #keep(entry: HeldEntry): void {
    const { owner, key } = entry;
    const entries = this.#held.get(owner) ?? new Map<string, HeldEntry>();
    this.#held.set(owner, entries.set(key, entry));
  }

  #violate(invariant: string, { owner, key, version, path }: HeldChange, why: string): void {
    const what = `${owner}/${key} @${describeVersion(version)} by ${path}`;
    this.violations.push(`${invariant} at ${this.#observer}: ${what} ${why}`);
  }
}
