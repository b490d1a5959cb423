// Query process: the agent's end of the process of queries: starts it, feeds it, asks it, and kills it when a query takes too
// long or nobody asks any more. What it answers is bounded by itself, and by the time.

import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { QUERY_DATA_KIB_MAX } from "../limits.ts";
import type { FromQueryChild, QueryBounds, QueryParams, ToQueryChild } from "./query-protocol.ts";

const CHILD = fileURLToPath(new URL("./query-child.ts", import.meta.url));
/** JavaScript's own heap: rows on their way. SQLite's is apart. */
const SCRIPT_HEAP_MIB = 128;
/** It may read its own code, and has a thread that watches; it may not write a file nor start a process. */
const NODE_ARGUMENTS = [
  "--permission",
  "--allow-fs-read=*",
  "--allow-worker",
  "--no-warnings",
  `--max-old-space-size=${SCRIPT_HEAP_MIB}`,
];

/**
 * Node cannot bound its own memory, a shell can; then it is Node, under the same pid. Should the machine run out of memory all
 * the same, the kernel takes this process before any other.
 */
const SHELL = [
  "echo 1000 2>/dev/null >/proc/self/oom_score_adj",
  // Tried first: where less is allowed already, to fail would end the shell.
  `(ulimit -d ${QUERY_DATA_KIB_MAX}) 2>/dev/null && ulimit -d ${QUERY_DATA_KIB_MAX}`,
  'exec "$0" "$@"',
].join("; ");

/** How a query ended; `message` for people. */
export type QueryOutcome =
  | {
      readonly code: "rows";
      readonly columns: readonly string[];
      /** JSON arrays. */
      readonly rows: readonly string[];
      readonly truncated: boolean;
      readonly tables: readonly string[];
    }
  | { readonly code: "invalid" | "too-large" | "unavailable"; readonly message: string };

export interface AskedQuery {
  readonly sql: string;
  readonly params: QueryParams;
  readonly bounds: QueryBounds;
}

export interface QueryTimes {
  /** To start and to take over what it was sent. */
  readonly loadMs: number;
  readonly runMs: number;
}

export class QueryProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<string>;
  #hear: (message: FromQueryChild) => void = () => undefined;
  #isOver = false;

  constructor() {
    // Of our environment nothing: nothing of it is a query's concern.
    const node = [process.execPath, ...NODE_ARGUMENTS, CHILD, String(process.pid)];
    this.#child = spawn("/bin/sh", ["-c", SHELL, ...node], {
      env: {},
      serialization: "advanced",
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
    const { promise, resolve } = Promise.withResolvers<string>();
    this.#ended = promise;
    const end = (why: string): void => {
      this.#isOver = true;
      resolve(why);
    };
    this.#child.on("error", (error) => end(error.message));
    this.#child.once("exit", (code, signal) => end(signal ?? `exit code ${code}`));
    this.#child.on("message", (message) => this.#hear(message as FromQueryChild));
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Resolves when it is gone. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }

  /** Resolves when the system has taken it: what is fed does not pile up here. False: the process is gone. */
  send(message: ToQueryChild): Promise<boolean> {
    if (this.#isOver || !this.#child.connected) return Promise.resolve(false);
    const sent = new Promise<boolean>((resolve) => {
      this.#child.send(message, (error) => resolve(error === null));
    });
    return Promise.race([sent, this.#ended.then(() => false)]);
  }

  /** One at a time. A process that does not answer in time is killed: it may be in the midst of it, and nothing else stops it. */
  async query(query: AskedQuery, times: QueryTimes, signal: AbortSignal): Promise<QueryOutcome> {
    const ending = Promise.withResolvers<QueryOutcome>();
    const abort = (): void => ending.resolve({ code: "unavailable", message: "the client has gone" });
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    this.#ended.then((why) => ending.resolve(died(why))).catch(() => undefined);
    const hearing = this.#ask(query, times, ending.resolve);
    const outcome = await Promise.race([hearing.answer, ending.promise]);
    signal.removeEventListener("abort", abort);
    if (!hearing.end()) await this.kill();
    return outcome;
  }

  /** `end`: stops to hear, and says whether it had answered. */
  #ask(
    { sql, params, bounds }: AskedQuery,
    times: QueryTimes,
    giveUp: (outcome: QueryOutcome) => void,
  ): { readonly answer: Promise<QueryOutcome>; readonly end: () => boolean } {
    const answer = Promise.withResolvers<QueryOutcome>();
    const rows: string[] = [];
    let isAnswered = false;
    let timer = setTimeout(() => giveUp(tooSlowToLoad(times)), times.loadMs);
    this.#hear = (message) => {
      if (message.kind === "running") {
        clearTimeout(timer);
        timer = setTimeout(() => giveUp(tooSlow(times)), times.runMs);
      } else if (message.kind === "rows") {
        for (const row of message.rows) rows.push(row);
      } else {
        isAnswered = true;
        answer.resolve(outcomeOf(message, rows));
      }
    };
    void this.send({ kind: "query", sql, params, bounds });
    const end = (): boolean => {
      clearTimeout(timer);
      this.#hear = () => undefined;
      return isAnswered;
    };
    return { answer: answer.promise, end };
  }
}

function outcomeOf(
  message: Extract<FromQueryChild, { readonly kind: "done" | "failed" }>,
  rows: readonly string[],
): QueryOutcome {
  if (message.kind === "done") {
    const { columns, truncated, tables } = message;
    return { code: "rows", columns, rows, truncated, tables };
  }
  return { code: message.code, message: message.message };
}

function tooSlow({ runMs }: QueryTimes): QueryOutcome {
  return {
    code: "too-large",
    message: `the query took longer than the ${runMs / 1_000} s that a query may take`,
  };
}

function tooSlowToLoad({ loadMs }: QueryTimes): QueryOutcome {
  return {
    code: "unavailable",
    message: `what is held here was not ready to be queried within ${loadMs / 1_000} s: this machine is busy`,
  };
}

function died(why: string): QueryOutcome {
  return {
    code: "too-large",
    message: `the process of queries ended (${why}): the query, or what is held here, needs more memory than queries may have`,
  };
}
