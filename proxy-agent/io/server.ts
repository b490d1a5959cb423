// Server: the listener that clients reach. Reads requests by node's strict parser (it refuses Content-Length beside
// Transfer-Encoding, repeated lengths and bad line ends), and hands each to the forwarder.

import type { Server as HttpServer, IncomingMessage } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Logger } from "pino";
import { requestHeaders } from "../core/header-rules.ts";
import { CLIENT_CONNECTIONS_MAX, CLIENT_HEAD_MS, CLIENT_IDLE_MS, CLIENT_PIPELINED_MAX } from "../limits.ts";
import { Exchange, type ExchangeEnd, type Refusal } from "./exchange.ts";
import type { Flights } from "./flights.ts";
import { type Forwarder, gateHeader } from "./forward.ts";
import { createServer, ServerResponse } from "./http.ts";
import { Listener } from "./listener.ts";
import type { Metrics } from "./metrics.ts";
import { framingFault, targetOf } from "./target.ts";
import { tryUpgrade } from "./upgrade.ts";

export interface ServerDeps {
  readonly forwarder: Forwarder;
  readonly flights: Flights;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

export class Server {
  readonly #deps: ServerDeps;
  readonly #server: HttpServer;
  readonly #listener: Listener;
  #isStopping = false;
  /** Answers that are not complete yet; of an upgrade: until its pipe ends. */
  readonly #answering = new Set<ServerResponse>();
  /** Of each connection: a client that sends request after request must not hold all that a VM may have. */
  readonly #unanswered = new WeakMap<Socket, Set<IncomingMessage>>();
  /** Nothing more is read from them: what waits on them is answered, then they end. */
  readonly #ending = new WeakSet<Socket>();

  constructor(deps: ServerDeps) {
    this.#deps = deps;
    this.#server = createServer({
      keepAliveTimeout: CLIENT_IDLE_MS,
      headersTimeout: CLIENT_HEAD_MS,
      // A long upload is no attack: it ends when its client does.
      requestTimeout: 0,
      noDelay: true,
      insecureHTTPParser: false,
      shouldUpgradeCallback: isWebSocket,
    });
    this.#server.maxConnections = CLIENT_CONNECTIONS_MAX;
    this.#listener = new Listener(this.#server);
    this.#server.on("request", (request, response) => this.#take(request, response, null));
    this.#server.on("checkContinue", (request, response) => this.#take(request, response, "continue"));
    this.#server.on("upgrade", (request, socket, head) => this.#takeUpgrade(request, socket as Socket, head));
    this.#server.on("clientError", (error, socket) => this.#refuseConnection(error, socket as Socket));
  }

  /** Client connections open now. */
  get connections(): number {
    return this.#listener.connections;
  }

  /** Rejects with the system's error (EADDRINUSE, EACCES, …). Resolves to what it listens on. */
  listen(address: { readonly host: string; readonly port: number }): Promise<AddressInfo> {
    return this.#listener.listen(address, this.#deps.logger);
  }

  /** Takes no new connection; what runs is finished and answered with "Connection: close". What runs at the deadline is cut. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    for (const response of this.#answering) response.shouldKeepAlive = false;
    await this.#listener.stop({
      busy: () => new Set([...this.#answering].map(({ req }) => req.socket)),
      cut: () => this.#deps.flights.stop(),
    });
  }

  #take(request: IncomingMessage, response: ServerResponse, waitsFor: "continue" | null): void {
    this.#answering.add(response);
    this.#unanswered.set(request.socket, this.#waiting(request.socket).add(request));
    response.once("close", () => this.#answered(response, request));
    if (this.#isStopping) response.shouldKeepAlive = false;
    const exchange = this.#exchange(request, response, waitsFor);
    const refusal = this.#refusalOf(request);
    const target = targetOf(request);
    if (refusal !== null || !target.ok) {
      // Where its body ends, or what follows it, is in doubt.
      if (refusal !== null) response.shouldKeepAlive = false;
      const { status, reason } = refusal ?? { status: 400, reason: target.ok ? "" : target.error };
      exchange.refuse({ status, reason });
      this.#deps.metrics.requestEnded({ app: null, release: null, status });
      return;
    }
    this.#run(exchange, this.#deps.forwarder.forward(exchange, target.value));
  }

  /** What ends the connection too. */
  #refusalOf(request: IncomingMessage): Pick<Refusal, "status" | "reason"> | null {
    if (this.#waiting(request.socket).size > CLIENT_PIPELINED_MAX) {
      return { status: 503, reason: `more than ${CLIENT_PIPELINED_MAX} requests wait on this connection` };
    }
    const fault = framingFault(request);
    return fault === null ? null : { status: 400, reason: fault };
  }

  #takeUpgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    socket.on("error", () => undefined);
    // Its answer would have to wait for those before it, and node reads no more requests here: the client asks again.
    if (this.#waiting(socket).size > 0) {
      this.#ending.add(socket);
      socket.resume();
      return;
    }
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket);
    // Node does not watch this connection any more: a client that does not close its side would keep it for ever.
    response.once("finish", () => socket.destroySoon());
    this.#answering.add(response);
    const exchange = this.#exchange(request, response, null);
    const target = targetOf(request);
    const fault = target.ok ? framingFault(request) : target.error;
    if (!target.ok || fault !== null) {
      exchange.refuse({ status: 400, reason: fault ?? "" });
      this.#answering.delete(response);
      return;
    }
    const { forwarder, flights } = this.#deps;
    const { host, path } = target.value;
    const address = socket.remoteAddress ?? "unknown";
    const headers = requestHeaders(request.rawHeaders, { address, host, isUpgrade: true });
    const end = forwarder.run(exchange, target.value, ({ flight, epoch }) =>
      tryUpgrade({
        exchange,
        flight,
        path,
        headers: flight.endpoint.isGated
          ? [...headers, ...gateHeader(flight.endpoint, { errand: "pass", epoch })]
          : headers,
        isGated: flight.endpoint.isGated,
        head,
        isRouted: () => flights.isRouted(flight),
        responseHeaders: forwarder.headersOf(exchange, flight.endpoint),
      }),
    );
    this.#run(
      exchange,
      end.finally(() => this.#answering.delete(response)),
    );
  }

  #exchange(request: IncomingMessage, response: ServerResponse, waitsFor: "continue" | null): Exchange {
    const marks = () => this.#deps.forwarder.marks();
    return new Exchange({ request, response, waitsFor, marks });
  }

  #run(exchange: Exchange, end: Promise<ExchangeEnd>): void {
    end.then(
      (ended) => this.#deps.metrics.requestEnded(ended),
      (error: unknown) => {
        // A bug of ours: this request fails, the others go on.
        this.#deps.logger.error({ err: error }, "request failed");
        exchange.refuse({ status: 500, reason: "the proxy failed" });
      },
    );
  }

  /** All of the answer left. One that promised to keep its connection cannot keep it now. */
  #answered(response: ServerResponse, request: IncomingMessage): void {
    const { socket } = request;
    this.#answering.delete(response);
    this.#waiting(socket).delete(request);
    if (this.#isStopping) socket.end();
    if (this.#ending.has(socket) && this.#waiting(socket).size === 0) socket.destroySoon();
  }

  /** Requests of that connection that are not answered yet, those included that came ahead of their turn. */
  #waiting(socket: Socket): Set<IncomingMessage> {
    return this.#unanswered.get(socket) ?? new Set();
  }

  /** What the parser refuses, or a connection that breaks: the client's mistake, never ours. */
  #refuseConnection(error: Error & { code?: string }, socket: Socket): void {
    this.#deps.metrics.connectionRefused();
    this.#deps.logger.debug({ error: error.message, code: error.code }, "bad connection");
    // Where another request waits for its answer, or one was begun, ours would be taken for it.
    const isTaken = socket.bytesWritten > 0 || [...this.#waiting(socket)].some(({ complete }) => complete);
    if (!socket.writable || isTaken || error.code === "ECONNRESET") {
      socket.destroy();
      return;
    }
    socket.end(answerToBadRequest(error.code), () => socket.destroy());
  }
}

function answerToBadRequest(code: string | undefined): string {
  const status = BAD_REQUESTS[code ?? ""] ?? "400 Bad Request";
  const text = `${status}: the request is not valid HTTP/1.1 (${code ?? "unknown"})\n`;
  const head = `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8`;
  return `${head}\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
}

const BAD_REQUESTS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
  HPE_CHUNK_EXTENSIONS_OVERFLOW: "413 Payload Too Large",
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
};

/** Other upgrades (h2c) may be ignored, and are: the request is forwarded without. */
function isWebSocket({ headers, method }: IncomingMessage): boolean {
  const hasBody = headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
  return method === "GET" && !hasBody && headers.upgrade?.toLowerCase() === "websocket";
}
