// Query engine: answers SQL about what this agent holds. One query at a time, in a process of its own that is started when it
// is needed and kept for a while. No query can block the agent, exhaust its memory or run for ever.

import { setImmediate as nextTurn } from "node:timers/promises";
import type { Logger } from "pino";
import { QUERIES_WAITING_MAX, QUERY_IDLE_MS, QUERY_LOAD_TIME_MAX_MS, QUERY_TIME_MAX_MS } from "../limits.ts";
import { QueryFeed, type QueryFeedDeps } from "./query-feed.ts";
import { type AskedQuery, type QueryOutcome, QueryProcess, type QueryTimes } from "./query-process.ts";

export interface QueryEngineOptions extends QueryTimes {
  readonly idleMs: number;
  /** Beside the one that runs. */
  readonly waitingMax: number;
}

export const QUERY_ENGINE_DEFAULTS: QueryEngineOptions = {
  loadMs: QUERY_LOAD_TIME_MAX_MS,
  runMs: QUERY_TIME_MAX_MS,
  idleMs: QUERY_IDLE_MS,
  waitingMax: QUERIES_WAITING_MAX,
};

export interface QueryEngineDeps extends QueryFeedDeps {
  readonly log: Pick<Logger, "info">;
}

interface Running {
  readonly process: QueryProcess;
  readonly feed: QueryFeed;
}

export class QueryEngine {
  readonly #options: QueryEngineOptions;
  readonly #deps: QueryEngineDeps;
  #running: Running | null = null;
  /** Of the last query that was taken: the next waits for it. */
  #last: Promise<unknown> = Promise.resolve();
  /** Queries that were taken and are not answered: the one that runs, and those that wait. */
  #open = 0;
  #idle: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(options: QueryEngineOptions, deps: QueryEngineDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** Of the process that is there for queries now; undefined: none is. */
  get pid(): number | undefined {
    return this.#running?.process.pid;
  }

  /** Rejects only on a bug of ours. */
  query(query: AskedQuery, signal: AbortSignal): Promise<QueryOutcome> {
    if (this.#isStopped) return Promise.resolve(unavailable("the agent stops"));
    const { waitingMax } = this.#options;
    if (this.#open > waitingMax)
      return Promise.resolve(unavailable(`${waitingMax} queries wait already: ask again later`));
    this.#open += 1;
    const answered = this.#last.then(() => this.#answer(query, signal));
    const done = (): void => {
      this.#open -= 1;
    };
    this.#last = answered.then(done, done);
    return answered;
  }

  /** Resolves when nothing of it runs any more; queries that wait end as unavailable. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#end();
    await this.#last;
    await this.#end();
  }

  async #answer(query: AskedQuery, signal: AbortSignal): Promise<QueryOutcome> {
    clearTimeout(this.#idle);
    if (signal.aborted) return unavailable("the client has gone");
    if (this.#isStopped) return unavailable("the agent stops");
    const running = this.#ensure();
    const { loadMs, runMs } = this.#options;
    const isFed = await this.#feed(running, signal);
    const outcome = isFed
      ? await running.process.query(query, { loadMs, runMs }, signal)
      : unavailable(`what is held here could not be made ready for queries within ${loadMs / 1_000} s`);
    if (!isFed || running.process.isOver) await this.#end();
    else if (!this.#isStopped) this.#endLater();
    if (outcome.code === "rows") return outcome;
    if (signal.aborted) return unavailable("the client has gone");
    return this.#isStopped ? unavailable("the agent stops") : outcome;
  }

  #ensure(): Running {
    if (this.#running?.process.isOver === false) return this.#running;
    this.#running?.feed.stop();
    this.#running = { process: new QueryProcess(), feed: new QueryFeed(this.#deps) };
    this.#deps.log.info({ pid: this.#running.process.pid }, "process of queries started");
    return this.#running;
  }

  /**
   * A turn of our event loop for each message: a large store is told in many small steps. False: the process was too slow,
   * and is killed; or nobody wants the answer any more.
   */
  async #feed({ process, feed }: Running, signal: AbortSignal): Promise<boolean> {
    const timer = setTimeout(() => {
      process.kill().catch(() => undefined);
    }, this.#options.loadMs);
    try {
      for (const message of feed.messages()) {
        if (signal.aborted || this.#isStopped || !(await process.send(message))) return false;
        await nextTurn();
      }
      return true;
    } finally {
      clearTimeout(timer);
    }
  }

  #endLater(): void {
    this.#idle = setTimeout(() => {
      this.#end().catch(() => undefined);
    }, this.#options.idleMs);
    this.#idle.unref();
  }

  async #end(): Promise<void> {
    clearTimeout(this.#idle);
    const running = this.#running;
    this.#running = null;
    running?.feed.stop();
    await running?.process.kill();
  }
}

function unavailable(message: string): QueryOutcome {
  return { code: "unavailable", message };
}
