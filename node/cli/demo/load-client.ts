// Load client: open-loop HTTP requests at a steady rate, each one written down. A slow answer never delays the next request.

import { Agent, request } from "node:http";

export interface LoadOptions {
  /** Base URLs of proxies; requests go to them in turn. */
  readonly targets: readonly string[];
  readonly host: string;
  readonly path: string;
  readonly ratePerSecond: number;
  /** Half of the connections are kept alive, half are opened anew for each request; or all of one kind. */
  readonly connections: "keep-alive" | "new" | "both";
  /** A client waits so long for the whole answer; then the request failed. Default: 10 s. */
  readonly timeoutMs?: number;
}

/** What became of one request. */
export interface Sample {
  readonly target: string;
  /** When it was due, `process.hrtime` milliseconds: a late sender shows as latency, not as a lower rate. */
  readonly dueMs: number;
  readonly doneMs: number;
  /** 200, or null when no whole answer came. */
  readonly status: number | null;
  /** "v2", from the `grapevine-release` header. */
  readonly release: string | null;
  readonly vm: string | null;
  /** Why no whole answer came, or how an answer that is an error begins. */
  readonly error: string | null;
}

const REQUEST_TIMEOUT_MS = 10_000;
/** Of an answer that is an error so much is kept. */
const ERROR_CHARS_MAX = 300;
/** Samples kept; at 200 a second this is well over an hour. */
const SAMPLES_MAX = 1_000_000;

/** Failed: no whole answer, or one that no healthy app gave (5xx, 404 of a route that should be there). */
export function hasFailed(sample: Sample): boolean {
  return sample.status === null || sample.status >= 400;
}

function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

export class LoadClient {
  readonly #options: LoadOptions;
  readonly #keepAlive: Agent = new Agent({ keepAlive: true, maxSockets: 256 });
  readonly #samples: Sample[] = [];
  readonly #startMs: number = monotonicMs();
  readonly #timer: NodeJS.Timeout;
  readonly #watchers = new Set<(sample: Sample) => void>();
  #sent = 0;
  #running = 0;
  #onIdle: (() => void) | null = null;

  /** Sends from now on until `stop`. */
  constructor(options: LoadOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#sendDue(), Math.max(1, Math.floor(500 / options.ratePerSecond)));
  }

  /** Done so far, in order of completion. */
  get samples(): readonly Sample[] {
    return this.#samples;
  }

  /** Resolves with the first sample from now on that passes. Rejects when `signal` aborts. */
  async until(passes: (sample: Sample) => boolean, signal: AbortSignal): Promise<Sample> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<Sample>();
    const watcher = (sample: Sample): void => {
      if (passes(sample)) resolve(sample);
    };
    const abort = (): void => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    this.#watchers.add(watcher);
    try {
      return await promise;
    } finally {
      this.#watchers.delete(watcher);
      signal.removeEventListener("abort", abort);
    }
  }

  /** Sends nothing more and resolves with all samples when the last request is over. */
  async stop(): Promise<readonly Sample[]> {
    clearInterval(this.#timer);
    if (this.#running > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve));
    this.#keepAlive.destroy();
    return this.#samples;
  }

  #sendDue(): void {
    const periodMs = 1000 / this.#options.ratePerSecond;
    const nowMs = monotonicMs();
    while (this.#startMs + this.#sent * periodMs <= nowMs && this.#sent < SAMPLES_MAX) {
      this.#send(this.#sent, this.#startMs + this.#sent * periodMs);
      this.#sent++;
    }
  }

  #send(index: number, dueMs: number): void {
    const { targets, connections } = this.#options;
    const target = targets[index % targets.length] ?? "";
    // Every target gets both kinds: the kind changes once all targets had their turn.
    const isKept =
      connections === "both" ? Math.floor(index / targets.length) % 2 === 0 : connections === "keep-alive";
    this.#running++;
    const done = (answer: Pick<Sample, "status" | "release" | "vm" | "error">): void =>
      this.#record({ target, dueMs, doneMs: monotonicMs(), ...answer });
    sendOne({ ...this.#options, target, agent: isKept ? this.#keepAlive : false }, done);
  }

  #record(sample: Sample): void {
    this.#samples.push(sample);
    for (const watcher of this.#watchers) watcher(sample);
    this.#running--;
    if (this.#running === 0) this.#onIdle?.();
  }
}

type Answer = Pick<Sample, "status" | "release" | "vm" | "error">;

function sendOne(
  options: { target: string; host: string; path: string; agent: Agent | false; timeoutMs?: number },
  done: (answer: Answer) => void,
): void {
  let isOver = false;
  const finish = (answer: Answer): void => {
    if (isOver) return;
    isOver = true;
    done(answer);
  };
  const failed = (error: Error): void =>
    finish({ status: null, release: null, vm: null, error: error.message });
  const outgoing = request(
    `${options.target}${options.path}`,
    {
      agent: options.agent,
      headers: { host: options.host },
      timeout: options.timeoutMs ?? REQUEST_TIMEOUT_MS,
    },
    (response) => {
      const header = (name: string): string | null => response.headers[name]?.toString() ?? null;
      const isError = (response.statusCode ?? 0) >= 400;
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        if (isError) text = `${text}${chunk}`.slice(0, ERROR_CHARS_MAX);
      });
      response.once("error", failed);
      response.once("end", () => {
        if (!response.complete) return failed(new Error("cut short"));
        finish({
          status: response.statusCode ?? null,
          release: header("grapevine-release"),
          vm: header("grapevine-vm"),
          error: isError ? text : null,
        });
      });
    },
  );
  outgoing.once("timeout", () => outgoing.destroy(new Error("timed out")));
  outgoing.once("error", failed);
  outgoing.end();
}
