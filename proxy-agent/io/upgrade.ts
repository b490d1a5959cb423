// Upgrade: one try of a WebSocket handshake at one endpoint. After its 101 both sides are one pipe, which counts as in
// flight until it ends: a drain waits for it, and cuts it at the deadline.

import type { IncomingMessage, RequestOptions } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { GATE_HEADER, readGateAnswer } from "../core/gate-headers.ts";
import { RESTART_FRAME, WebSocketFrames } from "../core/websocket-frames.ts";
import { ANSWER_TIMEOUT_MS, CONNECT_TIMEOUT_MS, LINGER_MS, RESTART_CLOSE_MS } from "../limits.ts";
import { type GateLoss, gateLossOf, type Outcome } from "./attempt.ts";
import type { Exchange } from "./exchange.ts";
import type { Flight } from "./flights.ts";
import { GateWord } from "./gate-word.ts";
import { httpRequest } from "./http.ts";

export interface UpgradeTry {
  readonly exchange: Exchange;
  readonly flight: Flight;
  readonly path: string;
  /** As the other side shall see them, flat. */
  readonly headers: string[];
  readonly isRouted: () => boolean;
  /** Headers as the client shall get them. */
  readonly responseHeaders: (raw: readonly string[]) => string[];
  /** It goes through a gate: what that says itself is not for the client. */
  readonly isGated: boolean;
  /** What the client sent after its handshake. */
  readonly head: Buffer;
}

/** Resolves when the try is over: of an upgrade that was granted, when the pipe has ended. */
export function tryUpgrade(options: UpgradeTry): Promise<Outcome> {
  return new Promise((resolve) => new UpgradeAttempt(options, resolve).start());
}

class UpgradeAttempt {
  readonly #options: UpgradeTry;
  readonly #resolve: (outcome: Outcome) => void;
  readonly #flight: Flight;
  readonly #upstream: ReturnType<typeof httpRequest>;
  #sent = false;
  #responded = false;
  #isOver = false;
  #connectTimer: NodeJS.Timeout | undefined;
  /** The pipe stands: what ends it now is its end, not a failure. */
  #joined: Duplex | null = null;
  readonly #frames = new WebSocketFrames();
  /** `asked`: to be told once the VM's frame is whole. */
  #restarting: "asked" | "told" | null = null;
  /** Its VM left by a hold before it had answered. */
  #isLate = false;
  #restartTimer: NodeJS.Timeout | undefined;
  readonly #client: Socket;
  readonly #leave = () => this.#end({ kind: "gone" });

  constructor(options: UpgradeTry, resolve: (outcome: Outcome) => void) {
    this.#options = options;
    this.#resolve = resolve;
    this.#flight = options.flight;
    this.#flight.onCut = () => this.#end({ kind: "cut" });
    this.#flight.onRecall = () => this.#end({ kind: "stale" });
    this.#flight.onRestart = () => this.#restart();
    this.#client = options.exchange.request.socket;
    this.#upstream = httpRequest(requestOptions(options));
  }

  start(): void {
    const upstream = this.#upstream;
    upstream.on("error", (error) =>
      this.#fail(error.message, 502, this.#options.isGated ? gateLossOf(error) : null),
    );
    upstream.on("socket", (socket) => {
      this.#connectTimer = setTimeout(
        () => upstream.destroy(new Error("connect timed out")),
        CONNECT_TIMEOUT_MS,
      );
      socket.once("connect", () => this.#send());
    });
    upstream.on("response", (answer) => this.#passAnswer(answer));
    upstream.on("upgrade", (answer, socket: Socket, head) => this.#join(answer, socket, head));
    this.#client.once("close", this.#leave);
    if (this.#client.destroyed) this.#leave();
  }

  /** The connection is there and nothing was written: the last moment to look at the table. */
  #send(): void {
    clearTimeout(this.#connectTimer);
    if (this.#isOver) return;
    if (!this.#options.isRouted()) {
      this.#end({ kind: "stale" });
      return;
    }
    this.#flight.dispatched();
    this.#sent = true;
    this.#upstream.setTimeout(ANSWER_TIMEOUT_MS, () => this.#fail("it did not answer in time", 504));
    this.#upstream.end();
  }

  /** The VM does not upgrade: its answer is the client's. */
  #passAnswer(answer: IncomingMessage): void {
    this.#responded = true;
    const { response } = this.#options.exchange;
    const status = answer.statusCode ?? 502;
    answer.on("error", (error) => this.#fail(error.message));
    const ofGate = this.#options.isGated ? readGateAnswer(answer.headers[GATE_HEADER]) : null;
    if (ofGate !== null) {
      const word = new GateWord(ofGate);
      answer.on("data", (chunk: Buffer) => word.add(chunk));
      answer.on("end", () => this.#end(word.outcome()));
      return;
    }
    response.shouldKeepAlive = false;
    try {
      response.writeHead(status, this.#options.responseHeaders(answer.rawHeaders));
    } catch (error) {
      this.#fail(String(error));
      return;
    }
    answer.on("end", () => this.#end({ kind: "answered", status }));
    answer.pipe(response);
  }

  #join(answer: IncomingMessage, upstream: Socket, upstreamHead: Buffer): void {
    this.#responded = true;
    const { head, exchange } = this.#options;
    const client = this.#client;
    upstream.on("error", () => undefined);
    if (this.#isOver) {
      upstream.destroy();
      return;
    }
    this.#joined = upstream;
    // A pipe may be silent for hours; its ends or a drain end it.
    upstream.setTimeout(0);
    upstream.setNoDelay(true);
    client.setNoDelay(true);
    exchange.response.detachSocket(client);
    client.write(switchingHead(answer, this.#options.responseHeaders(answer.rawHeaders)), "latin1");
    if (upstreamHead.length > 0) client.write(upstreamHead);
    this.#frames.take(upstreamHead);
    if (head.length > 0) upstream.write(head);
    upstream.on("data", (chunk: Buffer) => this.#follow(chunk));
    upstream.pipe(client);
    client.pipe(upstream);
    upstream.once("close", () => this.#end({ kind: "answered", status: 101 }));
    if (this.#isLate) this.#restart();
  }

  /** The client is told that the service restarts; its own answer to that goes to the VM, which ends the pipe then. */
  #restart(): void {
    const upstream = this.#joined;
    this.#isLate = upstream === null;
    if (upstream === null || this.#restarting !== null) return;
    this.#restarting = "asked";
    upstream.unpipe(this.#client);
    if (this.#frames.isBetween) this.#tellRestart();
    this.#restartTimer = setTimeout(() => this.#end({ kind: "answered", status: 101 }), RESTART_CLOSE_MS);
    upstream.resume();
  }

  #follow(chunk: Buffer): void {
    const end = this.#frames.take(chunk);
    if (this.#restarting !== "asked") return;
    this.#client.write(end === null ? chunk : chunk.subarray(0, end));
    if (end !== null) this.#tellRestart();
  }

  #tellRestart(): void {
    this.#restarting = "told";
    this.#client.write(RESTART_FRAME);
  }

  /** What the VM said last still reaches the client; one that does not close its side then is closed. */
  #part(upstream: Duplex): void {
    const isComplete = upstream.readableEnded;
    upstream.destroy();
    if (this.#restarting !== null) this.#client.end();
    if (!isComplete && this.#restarting === null) this.#client.destroy();
    else this.#client.setTimeout(LINGER_MS, () => this.#client.destroy());
  }

  #fail(reason: string, status: 502 | 504 = 502, gate: GateLoss = null): void {
    const progress = { sent: this.#sent, responded: this.#responded, timedOut: status === 504 };
    if (this.#options.exchange.response.headersSent) this.#end({ kind: "broken", status: 0, reason });
    else
      this.#end({
        kind: "failed",
        status,
        reason,
        gate,
        ...progress,
      });
  }

  #end(outcome: Outcome): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#connectTimer);
    clearTimeout(this.#restartTimer);
    this.#client.removeListener("close", this.#leave);
    if (this.#joined !== null) this.#part(this.#joined);
    else if (outcome.kind !== "answered") this.#upstream.destroy();
    this.#flight.release();
    this.#resolve(this.#joined === null ? outcome : { kind: "answered", status: 101 });
  }
}

function requestOptions({ flight, exchange, path, headers }: UpgradeTry): RequestOptions {
  const { host, port } = flight.endpoint.address;
  return { host, port, method: exchange.method, path, headers, agent: false, setHost: false };
}

/** The 101 as the VM wrote it, with these headers. */
function switchingHead(answer: IncomingMessage, headers: readonly string[]): string {
  const upgrade = answer.headers.upgrade ?? "websocket";
  const lines = [
    `HTTP/1.1 101 ${answer.statusMessage || "Switching Protocols"}`,
    "Connection: Upgrade",
    `Upgrade: ${upgrade}`,
  ];
  for (let index = 0; index + 1 < headers.length; index += 2)
    lines.push(`${headers[index]}: ${headers[index + 1]}`);
  return `${lines.join("\r\n")}\r\n\r\n`;
}
