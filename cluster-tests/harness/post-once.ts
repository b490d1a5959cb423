// Post once: clients that send POSTs with an id each, of many sizes, and know afterwards which were answered; and how often each ran.

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface PostOptions {
  /** Base URLs of proxies; requests go to them in turn. */
  readonly targets: readonly string[];
  readonly host: string;
  /** Clients at a time, each with one request under way. */
  readonly clients: number;
  /** Bytes of the bodies, in turn. */
  readonly sizes: readonly number[];
}

export interface Posted {
  readonly id: string;
  readonly bytes: number;
  /** Null: no whole answer came. */
  readonly status: number | null;
  readonly text: string;
  /** By `performance.now`. */
  readonly beganMs: number;
  readonly endedMs: number;
}

type Answer = Pick<Posted, "status" | "text">;

export class PostOnce {
  readonly #options: PostOptions;
  readonly #folder = mkdtempSync(join(tmpdir(), "grapevine-once-"));
  readonly #running: Promise<void>[];
  readonly #posted: Posted[] = [];
  #isOver = false;
  #sent = 0;

  /** Sends from now on until `stop`. */
  constructor(options: PostOptions) {
    this.#options = options;
    this.#running = Array.from({ length: options.clients }, () => this.#run());
  }

  /** Answered or failed so far. */
  get done(): readonly Posted[] {
    return this.#posted;
  }

  /** Resolves with all of them once the last is over, and how often each ran. */
  async stop(): Promise<{ readonly posted: readonly Posted[]; readonly runs: ReadonlyMap<string, number> }> {
    this.#isOver = true;
    await Promise.all(this.#running);
    const runs = new Map<string, number>();
    const text = existsSync(this.#log) ? readFileSync(this.#log, "utf8") : "";
    for (const id of text.split("\n").filter((line) => line !== "")) runs.set(id, (runs.get(id) ?? 0) + 1);
    rmSync(this.#folder, { recursive: true, force: true });
    return { posted: this.#posted, runs };
  }

  get #log(): string {
    return join(this.#folder, "runs");
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      const { targets, sizes } = this.#options;
      const index = this.#sent++;
      const bytes = sizes[index % sizes.length] ?? 1;
      const target = targets[index % targets.length] ?? "";
      const id = `post-${index}`;
      const beganMs = performance.now();
      const answer = await this.#post({ id, bytes, target });
      this.#posted.push({ id, bytes, ...answer, beganMs, endedMs: performance.now() });
    }
  }

  #post({ id, bytes, target }: { id: string; bytes: number; target: string }): Promise<Answer> {
    const { promise, resolve } = Promise.withResolvers<Answer>();
    const fail = (error: Error) => resolve({ status: null, text: error.message });
    const url = `${target}/once?log=${encodeURIComponent(this.#log)}&id=${id}`;
    const headers = { host: this.#options.host, "content-length": bytes };
    const outgoing = request(url, { method: "POST", headers, agent: false }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.once("error", fail);
      response.once("end", () => resolve({ status: response.statusCode ?? null, text }));
    });
    outgoing.once("error", fail);
    sendBody(outgoing, bytes);
    return promise;
  }
}

/** In pieces, so that it is under way for a while. */
function sendBody(outgoing: ReturnType<typeof request>, bytes: number): void {
  const piece = Buffer.alloc(Math.min(bytes, 256 * 1024));
  let left = bytes;
  const more = (): void => {
    while (left > 0) {
      const next = piece.subarray(0, Math.min(left, piece.length));
      left -= next.length;
      if (!outgoing.write(next)) {
        outgoing.once("drain", more);
        return;
      }
    }
    outgoing.end();
  };
  more();
}
