// Query feed: what the process of queries has to be told: at first all that the store holds, a page at a time, and from then
// on what changed since it was told last.

import type { CommittedApp, Entry, Mesh, OwnerId } from "../../mesh/index.ts";
import { QUERY_FEED_BYTES_MAX, QUERY_FEED_ENTRIES_MAX } from "../limits.ts";
import type { ToQueryChild } from "./query-protocol.ts";
import { appRows, type FedEntry, memberRow } from "./query-tables.ts";

export interface QueryFeedDeps {
  readonly mesh: Pick<Mesh, "inspection" | "members" | "onChange" | "store">;
  /** The records in force, deleted apps included. */
  readonly apps: () => readonly CommittedApp[];
}

export class QueryFeed {
  readonly #deps: QueryFeedDeps;
  readonly #unsubscribe: () => void;
  /** Owners of whom nothing was told yet. */
  readonly #owners: OwnerId[];
  /** Changed since it was told, the newest of each; bounded by what the store holds. */
  #changed = new Map<string, Entry>();

  constructor(deps: QueryFeedDeps) {
    this.#deps = deps;
    this.#owners = deps.mesh.inspection.digests().map(({ owner }) => owner);
    this.#unsubscribe = deps.mesh.onChange((change) =>
      this.#changed.set(`${change.owner} ${change.key}`, change),
    );
  }

  stop(): void {
    this.#unsubscribe();
    this.#changed.clear();
  }

  /** What is to be told before the next query. The store may go on changing between two messages; the last wins. */
  *messages(): Generator<ToQueryChild> {
    for (let owner = this.#owners.shift(); owner !== undefined; owner = this.#owners.shift())
      yield* pages([...this.#deps.mesh.inspection.entriesOf(owner)].filter(({ value }) => value !== null));
    while (this.#changed.size > 0) {
      const changed = this.#changed;
      this.#changed = new Map();
      yield* pages([...changed.values()]);
    }
    const { members, store } = this.#deps.mesh;
    const rows = members
      .call(this.#deps.mesh)
      .map((member) => memberRow(member, store.isStale(member.owner)));
    yield { kind: "members", members: rows };
    yield { kind: "apps", apps: this.#deps.apps().map(appRows) };
  }
}

function* pages(entries: readonly Entry[]): Generator<ToQueryChild> {
  let page: FedEntry[] = [];
  let bytes = 0;
  for (const { owner, key, value, version } of entries) {
    page.push({ owner, key, value, ...version });
    bytes += key.length + (value?.length ?? 0);
    if (page.length < QUERY_FEED_ENTRIES_MAX && bytes < QUERY_FEED_BYTES_MAX) continue;
    yield { kind: "entries", entries: page };
    page = [];
    bytes = 0;
  }
  if (page.length > 0) yield { kind: "entries", entries: page };
}
