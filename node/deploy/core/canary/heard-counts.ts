// Heard counts: what proxies told of the bake in force, and its sums. Every proxy tells anew twice a second and each time it is judged, so the
// sums are kept, not made: they cost the same of three proxies and of a thousand.

import { type CanaryCounts, type MemberName, noWaits, type ReleaseCounts } from "../../../../mesh/index.ts";

/** Starts of one proxy within one bake that are added up; of more, the requests are missing. */
const STARTS_MAX = 16;

type Sums = { -readonly [Key in keyof Omit<ReleaseCounts, "waits">]: number } & { readonly waits: number[] };

export class HeardCounts {
  /** By proxy, then by its start: what one start counted never takes the place of what another did. */
  readonly #told = new Map<MemberName, Map<string, CanaryCounts>>();
  readonly #sums = new Map<number, Sums>();

  has(proxy: MemberName): boolean {
    return this.#told.has(proxy);
  }

  /** Of all that was told, by release. */
  sums(): Iterable<ReleaseCounts> {
    return this.#sums.values();
  }

  /** In the place of what this start told before. False: that says the same, or there is no room. */
  take(proxy: MemberName, startId: string, counts: CanaryCounts): boolean {
    const byStart = this.#told.get(proxy) ?? new Map<string, CanaryCounts>();
    const before = byStart.get(startId);
    if (before === undefined && byStart.size >= STARTS_MAX) return false;
    if (JSON.stringify(before) === JSON.stringify(counts)) return false;
    this.#told.set(proxy, byStart.set(startId, counts));
    for (const one of before?.releases ?? []) this.#add(one, -1);
    for (const one of counts.releases) this.#add(one, 1);
    return true;
  }

  clear(): void {
    this.#told.clear();
    this.#sums.clear();
  }

  #add({ release, requests, errors, waits }: ReleaseCounts, sign: 1 | -1): void {
    const sums = this.#sums.get(release) ?? { release, requests: 0, errors: 0, waits: noWaits() };
    this.#sums.set(release, sums);
    sums.requests += sign * requests;
    sums.errors += sign * errors;
    for (const [bucket, count] of waits.entries())
      sums.waits[bucket] = (sums.waits[bucket] ?? 0) + sign * count;
  }
}
