// Posts: a client that sends POSTs with an id each and knows which were answered, and VMs that know how often each of them ran.

import { createHash } from "node:crypto";
import {
  type ClientRequest,
  request as httpRequest,
  type IncomingMessage,
  type RequestListener,
} from "node:http";
import { seededRandom } from "../../mesh/sim/seeded-random.ts";

/** An answer's body: more than goes out in one write with its head. */
export const ANSWER_BYTES: number = 20_000;

/** What bodies are made of, again and again. Not a divisor or multiple of any buffer's size: a piece that is lost, or comes twice, shows. */
const BLOCK: Buffer = Buffer.from(
  Array.from(
    { length: 100_003 },
    (
      (random) => () =>
        Math.floor(256 * random())
    )(seededRandom(1)),
  ),
);

/** The bytes of a body from one place to another. */
function* bodyBytes(from: number, to: number): Generator<Buffer> {
  for (let at = from; at < to; ) {
    const offset = at % BLOCK.length;
    const piece = BLOCK.subarray(offset, Math.min(BLOCK.length, offset + to - at));
    yield piece;
    at += piece.length;
  }
}

export function hashOfBody(bytes: number): string {
  const hash = createHash("sha256");
  for (const piece of bodyBytes(0, bytes)) hash.update(piece);
  return hash.digest("hex");
}

/** Null: no whole answer came. `hash`: of the body, as the VM has it. */
export interface Answered {
  readonly status: number | null;
  readonly vm?: string;
  readonly hash?: string;
}

/** One POST, in steps: `sendTo` sends the body up to a place; the last ends it. */
export class Post {
  readonly answered: Promise<Answered>;
  /** The head of its answer came. */
  readonly headCame: Promise<void>;
  readonly #request: ClientRequest;
  readonly #bytes: number;
  #sent = 0;

  /** Its head goes out at once. */
  constructor(
    port: number,
    {
      id,
      bytes,
      isChunked = false,
    }: { readonly id: string; readonly bytes: number; readonly isChunked?: boolean },
  ) {
    this.#bytes = bytes;
    const length = isChunked ? { "transfer-encoding": "chunked" } : { "content-length": bytes };
    const headers = { host: "hello.localhost", "x-id": id, ...length };
    const { promise, resolve } = Promise.withResolvers<Answered>();
    const head = Promise.withResolvers<void>();
    this.answered = promise;
    this.headCame = head.promise;
    const options = { port, host: "127.0.0.1", method: "POST", headers, agent: false };
    this.#request = httpRequest(options, (response) => {
      head.resolve();
      void readAnswer(response).then(resolve);
    });
    this.#request.on("error", () => resolve({ status: null }));
    this.#request.flushHeaders();
  }

  /** Resolves once it was handed to the system, or the connection is over. */
  async sendTo(place: number): Promise<void> {
    for (const piece of bodyBytes(this.#sent, place)) {
      if (this.#request.destroyed) return;
      if (this.#request.write(piece)) continue;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#request.once("drain", resolve).once("close", resolve);
      await promise;
      this.#request.removeListener("drain", resolve).removeListener("close", resolve);
    }
    this.#sent = place;
    if (place === this.#bytes) this.#request.end();
  }

  async whole(): Promise<Answered> {
    await this.sendTo(this.#bytes);
    return this.answered;
  }
}

async function readAnswer(response: IncomingMessage): Promise<Answered> {
  try {
    const text = Buffer.concat(await response.toArray()).toString();
    const [vm = "", hash = ""] = text.split(" ");
    return { status: response.statusCode ?? null, vm, hash };
  } catch {
    return { status: null };
  }
}

/** What VMs saw of all posts. */
export class Runs {
  /** By id: the VMs that a request with it reached, in order. */
  readonly #begun = new Map<string, string[]>();
  readonly #watches = new Set<() => void>();
  /** Body bytes that came, by id. */
  readonly #bytes = new Map<string, number>();
  /** What answers wait with until `release`: nothing, all of it, or what comes after its first bytes. */
  #holds: "nothing" | "answer" | "rest" = "nothing";
  #held = Promise.withResolvers<void>();

  /** A VM's program: it answers with its name and the hash of the body, once that came whole. */
  vm(name: string): RequestListener {
    return (request, response) => {
      const id = String(request.headers["x-id"]);
      this.#begun.set(id, [...this.of(id), name]);
      this.#tell();
      const hash = createHash("sha256");
      request.on("error", () => undefined);
      request.on("data", (piece: Buffer) => {
        hash.update(piece);
        this.#bytes.set(id, this.bytesOf(id) + piece.length);
        this.#tell();
      });
      request.on("end", async () => {
        if (this.#holds === "answer") await this.#held.promise;
        const text = Buffer.from(`${name} ${hash.digest("hex")} `.padEnd(ANSWER_BYTES));
        response.writeHead(200, { "content-length": text.length });
        if (this.#holds !== "rest") return response.end(text);
        response.write(text.subarray(0, 1_000));
        await this.#held.promise;
        return response.end(text.subarray(1_000));
      });
    };
  }

  of(id: string): readonly string[] {
    return this.#begun.get(id) ?? [];
  }

  bytesOf(id: string): number {
    return this.#bytes.get(id) ?? 0;
  }

  hold(what: "answer" | "rest"): void {
    this.#holds = what;
    this.#held = Promise.withResolvers();
  }

  release(): void {
    this.#holds = "nothing";
    this.#held.resolve();
  }

  async until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#watches.add(resolve);
      await promise;
      this.#watches.delete(resolve);
    }
  }

  #tell(): void {
    for (const watch of [...this.#watches]) watch();
  }
}
