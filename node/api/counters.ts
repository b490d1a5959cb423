// Counters: how many watch, and what became of queries: for /metrics.

const OUTCOMES = ["rows", "invalid", "too-large", "unavailable"] as const;
type Outcome = (typeof OUTCOMES)[number];

export class ApiCounters {
  /** Readers of /v1/watch. */
  watchers = 0;
  /** Readers of /v1/query/watch. */
  queryWatchers = 0;
  readonly #queries = new Map<Outcome, number>();

  queryEnded(outcome: Outcome): void {
    this.#queries.set(outcome, (this.#queries.get(outcome) ?? 0) + 1);
  }

  /** In Prometheus' text format. */
  text(): string {
    return [
      "# HELP grapevine_watchers Readers that watch changes, or the result of a query.",
      "# TYPE grapevine_watchers gauge",
      `grapevine_watchers{of="changes"} ${this.watchers}`,
      `grapevine_watchers{of="query"} ${this.queryWatchers}`,
      "# HELP grapevine_queries_total Queries that people asked, by how they ended; those of watchers are not counted.",
      "# TYPE grapevine_queries_total counter",
      ...OUTCOMES.map(
        (outcome) => `grapevine_queries_total{outcome="${outcome}"} ${this.#queries.get(outcome) ?? 0}`,
      ),
    ].join("\n");
  }
}
