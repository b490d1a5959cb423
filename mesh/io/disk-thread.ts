// DiskThread: our end of a thread that owns a file. One request at a time; what goes wrong there is an error here, and a thread
// that died of it is followed by another at the next request.

import { Worker } from "node:worker_threads";

/** Why is for people: the disk is full, another process has the file, … Nothing of the request under way is on disk. */
export class DiskError extends Error {
  override readonly name = "DiskError";
}

/** What such a thread answers: a row of parts, if the request has some, and one end. */
export type ThreadAnswer<Part, End> =
  | { readonly kind: "part"; readonly part: Part }
  | { readonly kind: "end"; readonly end: End }
  | { readonly kind: "failed"; readonly reason: string };

interface Waiting<Part, End> {
  readonly onPart: (part: Part) => void;
  readonly answered: PromiseWithResolvers<End>;
}

export class DiskThread<Request, Part, End> {
  readonly #program: URL;
  #worker: Worker | undefined;
  #waiting: Waiting<Part, End> | undefined;
  #isEnded = false;

  constructor(program: URL) {
    this.#program = program;
  }

  get isRunning(): boolean {
    return this.#worker !== undefined;
  }

  /** Rejects with `DiskError`. */
  async ask(request: Request, onPart: (part: Part) => void = () => undefined): Promise<End> {
    if (this.#isEnded) throw new DiskError("it was closed");
    if (this.#waiting !== undefined) throw new Error("bug: two requests to a disk thread at once");
    const answered = Promise.withResolvers<End>();
    this.#waiting = { onPart, answered };
    this.#worker ??= this.#start();
    this.#worker.postMessage(request);
    return answered.promise;
  }

  /** Ends the thread wherever it is: what it has not committed is not on disk. Nothing can be asked for any more. */
  async end(): Promise<void> {
    this.#isEnded = true;
    const worker = this.#worker;
    if (worker !== undefined) this.#died(worker, "it was closed");
    await worker?.terminate();
  }

  #start(): Worker {
    // Flags of ours (`--input-type`, `--inspect-brk`) are not meant for it.
    const worker = new Worker(this.#program, { execArgv: [] });
    worker.on("message", (answer: ThreadAnswer<Part, End>) => this.#heard(worker, answer));
    worker.on("error", (error) => this.#died(worker, String(error)));
    worker.on("exit", () => this.#died(worker, "its thread ended"));
    return worker;
  }

  #heard(worker: Worker, answer: ThreadAnswer<Part, End>): void {
    if (this.#worker !== worker) return;
    if (answer.kind === "part") {
      this.#waiting?.onPart(answer.part);
      return;
    }
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (answer.kind === "failed") waiting?.answered.reject(new DiskError(answer.reason));
    else waiting?.answered.resolve(answer.end);
  }

  #died(worker: Worker, reason: string): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.answered.reject(new DiskError(reason));
  }
}
