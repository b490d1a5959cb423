// Attempt: one try of a request at one endpoint. It streams the answer to the client; what becomes of a failure, the
// forwarder decides.

import { type Dispatcher, errors } from "undici";
import { messageOf } from "../../mesh/index.ts";
import type { Refusal } from "../core/gate.ts";
import { GATE_HEADER, readGateAnswer } from "../core/gate-headers.ts";
import { trailerPairs } from "../core/header-rules.ts";
import type { Failure } from "../core/retry.ts";
import { monotonicUnixMs } from "./clock.ts";
import type { Exchange } from "./exchange.ts";
import type { Flight } from "./flights.ts";
import { CLAIMED_STATUS, GateWord } from "./gate-word.ts";

/** Of the gate itself, before it said anything. `away`: its machine is there, and says that nobody listens. `broken`: the connection ended. */
export type GateLoss = "away" | "broken" | null;

/**
 * - `answered`: the client has the whole answer.
 * - `failed`: no answer; `status` is what to tell the client if this was the last try.
 * - `unsendable`: no VM could be sent this request; nothing was.
 * - `refused`: its endpoint's gate refused it: nothing of it reached a VM. `bytes`: what the gate says beside.
 * - `stale`: its endpoint left the table before a byte was sent.
 * - `broken`: the answer broke off half-way. `gone`: the client left. `cut`: the drain deadline.
 */
export type Outcome =
  | { readonly kind: "answered"; readonly status: number }
  | ({
      readonly kind: "failed";
      readonly status: 502 | 503 | 504;
      readonly reason: string;
      readonly gate: GateLoss;
    } & Failure)
  | { readonly kind: "unsendable"; readonly reason: string }
  | { readonly kind: "refused"; readonly why: Refusal; readonly bytes: Uint8Array }
  | { readonly kind: "stale" }
  | { readonly kind: "broken"; readonly status: number; readonly reason: string }
  | { readonly kind: "gone" }
  | { readonly kind: "cut" };

export interface AttemptDeps {
  /** The table in force still sends requests to the attempt's endpoint. */
  readonly isRouted: () => boolean;
  /** Headers as the client shall get them. */
  readonly responseHeaders: (raw: readonly string[]) => string[];
  /** It goes through a gate: what that says itself is not for the client, and bytes that left are not yet at a VM. */
  readonly isGated: boolean;
  readonly onOutcome: (outcome: Outcome) => void;
}

export class Attempt implements Dispatcher.DispatchHandler {
  readonly #exchange: Exchange;
  readonly #flight: Flight;
  readonly #deps: AttemptDeps;
  #controller: Dispatcher.DispatchController | null = null;
  #isOver = false;
  #sent = false;
  #responded = false;
  #hasBody = false;
  #status = 0;
  #dispatchedAtMs = 0;
  /** When the head of the VM's answer came; null: it has not. */
  #headAtMs: number | null = null;
  /** The answer is a stream of events, which has no end of itself. */
  #isEvents = false;
  #isRestarting = false;
  /** The answer is the gate's own. */
  #ofGate: GateWord | null = null;
  /** What came of the body in the same read goes out with the head; what may come later must not keep the head waiting. */
  readonly #flush = () => {
    if (!this.#isOver && !this.#hasBody) this.#exchange.response.flushHeaders();
  };
  readonly #resume = () => this.#controller?.resume();
  readonly #leave = () => this.#abort({ kind: "gone" });

  constructor(exchange: Exchange, flight: Flight, deps: AttemptDeps) {
    this.#exchange = exchange;
    this.#flight = flight;
    this.#deps = deps;
    flight.onCut = () => this.#abort({ kind: "cut" });
    flight.onRecall = () => this.#abort({ kind: "stale" });
    flight.onRestart = () => {
      this.#isRestarting = true;
      this.#endEvents();
    };
    exchange.response.once("close", this.#leave);
    if (exchange.isGone) this.#leave();
  }

  /** From its sending to the head of its answer; without one, until now. */
  get waitMs(): number {
    return (this.#headAtMs ?? monotonicUnixMs()) - this.#dispatchedAtMs;
  }

  /** The VM's answer has begun. */
  get isAnswered(): boolean {
    return this.#headAtMs !== null;
  }

  /** Its endpoint has more requests than it may have; nothing was sent. */
  refuse(): void {
    this.#fail("too many requests are waiting for it", 503);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Never twice: undici starts a request again only when it took nothing of it for sent.
    if (this.#isOver || this.#sent) {
      controller.abort(new Error("over"));
      return;
    }
    this.#controller = controller;
    // It may have waited for its connection while the table changed: what is in force now decides.
    if (!this.#deps.isRouted()) {
      this.#abort({ kind: "stale" });
      return;
    }
    this.#flight.dispatched();
    this.#dispatchedAtMs = monotonicUnixMs();
    this.#exchange.continue();
    // Without a body all of it is written in this breath; with one, its head goes out with the first piece of the body.
    if (this.#exchange.body === null) this.#sent = true;
  }

  onBodySent(): void {
    this.#markSent();
  }

  onRequestSent(): void {
    this.#markSent();
  }

  onResponseStarted(): void {
    this.#responded = true;
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
    message?: string,
  ): void {
    if (this.#isOver) return;
    // The VM's own 1xx end at the gate.
    if (this.#deps.isGated && status === CLAIMED_STATUS) this.#exchange.body?.claimed();
    // 1xx: the answer is still to come.
    if (status < 200) return;
    const ofGate = this.#deps.isGated ? readGateAnswer(headers[GATE_HEADER]) : null;
    if (ofGate !== null) {
      this.#ofGate = new GateWord(ofGate);
      return;
    }
    this.#status = status;
    this.#headAtMs = monotonicUnixMs();
    const { response } = this.#exchange;
    try {
      const passed = this.#deps.responseHeaders(rawText(controller.rawHeaders));
      response.writeHead(status, isStatusText(message) ? message : undefined, passed);
      this.#isEvents = /^text\/event-stream\b/i.test(String(headers["content-type"] ?? ""));
      process.nextTick(this.#flush);
      this.#endEvents();
    } catch (error) {
      this.#fail(`its answer has a header that cannot be passed on: ${dialMessageOf(error)}`);
      controller.abort(new Error("bad header"));
    }
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const { response } = this.#exchange;
    if (this.#ofGate !== null) {
      this.#ofGate.add(chunk);
      return;
    }
    this.#hasBody = true;
    if (this.#isOver || response.write(chunk)) return;
    controller.pause();
    response.once("drain", this.#resume);
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (this.#isOver) return;
    if (this.#ofGate !== null) {
      this.#end(this.#ofGate.outcome());
      return;
    }
    const { response } = this.#exchange;
    const trailers = trailerPairs(rawText(controller.rawTrailers));
    if (trailers.length > 0 && response.chunkedEncoding) addTrailers(this.#exchange, trailers);
    this.#end({ kind: "answered", status: this.#status });
    response.end();
  }

  onResponseError(_controller: unknown, error: Error): void {
    // Its head says all that counts: nothing of the request reached a VM, or it may have.
    if (this.#ofGate !== null) this.#end(this.#ofGate.outcome());
    else if (error instanceof errors.InvalidArgumentError)
      this.#end({ kind: "unsendable", reason: error.message });
    else if (error instanceof errors.HeadersTimeoutError) this.#fail("it did not answer in time", 504);
    else this.#fail(dialMessageOf(error), 502, this.#deps.isGated ? gateLossOf(error) : null);
  }

  /** Its client connects again, as it would after any end, and skips an event that is not whole (HTML, section 9.2.6). */
  #endEvents(): void {
    if (!this.#isRestarting || !this.#isEvents || this.#isOver) return;
    this.#abort({ kind: "answered", status: this.#status });
    this.#exchange.response.end();
  }

  #markSent(): void {
    this.#sent = true;
    if (!this.#deps.isGated) this.#exchange.body?.markSent();
  }

  #fail(reason: string, status: 502 | 503 | 504 = 502, gate: GateLoss = null): void {
    const progress = { sent: this.#sent, responded: this.#responded, timedOut: status === 504 };
    if (this.#exchange.response.headersSent) this.#end({ kind: "broken", status: this.#status, reason });
    else this.#end({ kind: "failed", status, reason, gate, ...progress });
  }

  /** Ends the attempt first, so that what undici says of the abort is not taken for a failure. */
  #abort(outcome: Outcome): void {
    if (this.#isOver) return;
    this.#end(outcome);
    this.#controller?.abort(new Error(outcome.kind));
  }

  #end(outcome: Outcome): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { response } = this.#exchange;
    response.removeListener("close", this.#leave);
    response.removeListener("drain", this.#resume);
    this.#flight.release();
    this.#deps.onOutcome(outcome);
  }
}

/** Raw headers as undici keeps them: name, value, …, in bytes. */
function rawText(raw: Dispatcher.DispatchController["rawHeaders"]): string[] {
  if (!Array.isArray(raw)) return [];
  return raw.map((part) => (typeof part === "string" ? part : part.toString("latin1")));
}

function addTrailers({ response }: Exchange, trailers: [string, string][]): void {
  try {
    response.addTrailers(trailers);
  } catch {
    // A trailer that cannot be written is dropped: its answer is complete without it.
  }
}

/** What node would refuse to write as a reason phrase is left out: it carries no meaning. */
function isStatusText(message: string | undefined): message is string {
  return message !== undefined && /^[\t\x20-\x7e]*$/.test(message);
}

/** Of an error of the connection to a gate. */
export function gateLossOf(error: unknown): GateLoss {
  const first = error instanceof AggregateError ? error.errors[0] : error;
  return first instanceof Error && "code" in first && first.code === "ECONNREFUSED" ? "away" : "broken";
}

/** Of a name with several addresses: what the first of them said. */
function dialMessageOf(error: unknown): string {
  return messageOf(
    error instanceof AggregateError && error.errors[0] instanceof Error ? error.errors[0] : error,
  );
}
