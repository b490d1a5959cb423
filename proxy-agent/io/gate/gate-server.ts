// Gate server: the listener that proxies reach. Each request is judged and counted in the breath in which its head was read, and
// what is refused is refused before a byte of it reached a VM.

import type { Server as HttpServer, IncomingMessage } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Logger } from "pino";
import { decodeRecord, encodeRecord, type Result } from "../../../mesh/index.ts";
import type { FlightId, Refusal } from "../../core/gate.ts";
import { GATE_HEADER, type GateRequest, gateHandInShape, readGateRequest } from "../../core/gate-headers.ts";
import { responseHeaders } from "../../core/header-rules.ts";
import { isRepeatable } from "../../core/retry.ts";
import {
  CLIENT_CONNECTIONS_MAX,
  CLIENT_HEAD_MS,
  CLIENT_IDLE_MS,
  GATE_ERRAND_TIMEOUT_MS,
  GATE_HAND_IN_BYTES_MAX,
  GATE_HAND_INS_MAX,
  GATE_HEAD_BYTES_MAX,
  GATE_HEADERS_KEPT_MAX,
} from "../../limits.ts";
import { Attempt, type Outcome } from "../attempt.ts";
import { dial } from "../dial.ts";
import { Exchange } from "../exchange.ts";
import type { Flight } from "../flights.ts";
import { createServer, ServerResponse } from "../http.ts";
import { Listener } from "../listener.ts";
import { framingFault } from "../target.ts";
import { tryUpgrade } from "../upgrade.ts";
import { Upstreams } from "../upstreams.ts";
import { answerAsGate, answerOf, readWhole } from "./gate-exchange.ts";
import { GateFlights } from "./gate-flights.ts";
import type { GateState } from "./gate-state.ts";

export interface GateServerDeps {
  readonly state: GateState;
  readonly logger: Logger;
  readonly count: (counter: string) => void;
  /** Never rejects. */
  readonly entriesOf: (app: GateRequest["app"]) => Promise<readonly Uint8Array[]>;
  /** A proxy handed in a record that was taken. */
  readonly onHandedIn: (key: string, value: Uint8Array) => void;
}

interface Admitted {
  readonly asked: GateRequest;
  readonly flight: Flight;
}

export class GateServer {
  readonly #deps: GateServerDeps;
  readonly #server: HttpServer;
  readonly #upstreams = new Upstreams();
  readonly #flights: GateFlights;
  readonly #listener: Listener;
  /** Answers of VMs that are not complete yet; of an upgrade: until its pipe ends. */
  readonly #answering = new Set<ServerResponse>();
  /** What was read of a header: it is the same for all requests that go by one record to one VM. */
  readonly #asked = new Map<string | undefined, Result<GateRequest>>();
  #isStopping = false;
  /** Records that are being read. */
  #handIns = 0;

  constructor(deps: GateServerDeps) {
    this.#deps = deps;
    this.#flights = new GateFlights({ onEnded: (flight) => deps.state.ended(flight) });
    this.#server = createServer({
      keepAliveTimeout: CLIENT_IDLE_MS,
      headersTimeout: CLIENT_HEAD_MS,
      // A long upload ends when its client does.
      requestTimeout: 0,
      noDelay: true,
      // What a client may send, and what its proxy adds.
      maxHeaderSize: GATE_HEAD_BYTES_MAX,
      insecureHTTPParser: false,
      // One without a body has nothing to read: no stream is kept for it.
      optimizeEmptyRequests: true,
    });
    this.#server.maxConnections = CLIENT_CONNECTIONS_MAX;
    this.#listener = new Listener(this.#server);
    this.#server.on("request", (request, response) => this.#take(request, response));
    this.#server.on("upgrade", (request, socket, head) => this.#takeUpgrade(request, socket as Socket, head));
    this.#server.on("clientError", (_error, socket) => socket.destroy());
  }

  /** Rejects with the system's error. Resolves to what it listens on. */
  listen(address: { readonly host: string; readonly port: number }): Promise<AddressInfo> {
    return this.#listener.listen(address, this.#deps.logger);
  }

  closed(vms: ReadonlySet<GateRequest["vm"]>): void {
    this.#flights.recall(vms);
    this.#upstreams.leave(vms);
  }

  cut(flights: readonly FlightId[]): void {
    for (const _flight of flights) this.#deps.count("requests-cut");
    this.#flights.cut(flights);
  }

  /** Refuses what comes; what runs may finish for a while, then it is cut. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    for (const response of this.#answering) response.shouldKeepAlive = false;
    await this.#listener.stop({
      busy: () => new Set([...this.#answering].map(({ req }) => req.socket)),
      cut: () => this.#flights.stop(),
    });
    await this.#upstreams.stop();
  }

  #read(request: IncomingMessage): Result<GateRequest> {
    const header = headerOf(request);
    const known = this.#asked.get(header);
    if (known !== undefined) return known;
    const read = readGateRequest(header);
    if (!read.ok) return read;
    if (this.#asked.size >= GATE_HEADERS_KEPT_MAX) this.#asked.clear();
    this.#asked.set(header, read);
    return read;
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    const read = this.#read(request);
    const fault = read.ok ? framingFault(request) : read.error;
    const waitsFor = read.ok && read.value.errand === "claim" ? "claim" : null;
    const exchange = new Exchange({ request, response, waitsFor, marks: () => ({}) });
    if (!read.ok || fault !== null) {
      this.#deps.count("requests-bad");
      answerAsGate(response, "failed", fault ?? "");
      return;
    }
    const asked = read.value;
    switch (asked.errand) {
      case "lists":
        answerAsGate(response, "done", encodeRecord({ format: 1, links: this.#deps.state.links }));
        return;
      case "take":
        this.#takeRecord(request, response);
        return;
      case "entries":
        void this.#giveEntries(asked, response);
        return;
      case "probe":
        this.#probe(asked, response);
        return;
      case "pass":
      case "afresh":
      case "claim":
        this.#pass(exchange, asked);
    }
  }

  #pass(exchange: Exchange, asked: GateRequest): void {
    const { request, response, method, body } = exchange;
    const admitted = this.#admit(asked, response);
    if (admitted === null) return;
    const { flight } = admitted;
    const attempt = new Attempt(exchange, flight, {
      isRouted: () => this.#deps.state.isOpenFor(asked.app, asked.vm),
      responseHeaders: passOn,
      isGated: false,
      onOutcome: (outcome) => this.#end(admitted, response, outcome),
    });
    const isOnce = asked.errand !== "pass" || !isRepeatable({ method, hasBody: body !== null });
    const headers = passOn(request.rawHeaders);
    const options = { method, path: request.url ?? "/", headers, body: body?.open() ?? null, once: isOnce };
    if (!this.#upstreams.dispatch(flight.endpoint, options, attempt)) attempt.refuse();
  }

  #takeUpgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    socket.on("error", () => undefined);
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket);
    response.once("finish", () => socket.destroySoon());
    const read = this.#read(request);
    const fault = read.ok ? framingFault(request) : read.error;
    if (!read.ok || fault !== null) {
      this.#deps.count("requests-bad");
      answerAsGate(response, "failed", fault ?? "");
      return;
    }
    const asked = read.value;
    const exchange = new Exchange({ request, response, waitsFor: null, marks: () => ({}) });
    const admitted = this.#admit(asked, response);
    if (admitted === null) return;
    const { flight } = admitted;
    const done = tryUpgrade({
      exchange,
      flight,
      head,
      path: request.url ?? "/",
      headers: [
        ...passOn(request.rawHeaders),
        "Connection",
        "Upgrade",
        "Upgrade",
        request.headers.upgrade ?? "",
      ],
      isRouted: () => this.#deps.state.isOpenFor(asked.app, asked.vm),
      responseHeaders: passOn,
      isGated: false,
    });
    void done.then((outcome) => this.#end(admitted, response, outcome));
  }

  /** Null: it was refused, and told so. */
  #admit(asked: GateRequest, response: ServerResponse): Admitted | null {
    const { state, count } = this.#deps;
    const id = this.#flights.nextId();
    const why = this.#isStopping ? "shut" : state.request(id, asked);
    if (why !== null) {
      // With a body on its way an end of ours could take the refusal with it.
      if (this.#isStopping && response.req.complete) response.shouldKeepAlive = false;
      this.#refuse(asked, why, response);
      return null;
    }
    const place = state.placeOf(asked.app, asked.vm);
    if (place === undefined) {
      state.ended(id);
      answerAsGate(response, "unreachable", `${asked.vm} has no address here yet`);
      return null;
    }
    count("requests");
    this.#answering.add(response);
    return { asked, flight: this.#flights.begin(id, asked.app, place) };
  }

  #refuse({ app }: GateRequest, why: Refusal, response: ServerResponse): void {
    this.#deps.count(`refused-${why}`);
    const isOfUse = why === "ahead" || why === "closed";
    answerAsGate(response, why, isOfUse ? this.#deps.state.recordOf(app) : "");
  }

  #end({ asked }: Admitted, response: ServerResponse, outcome: Outcome): void {
    this.#answering.delete(response);
    // Of who was answered while we stop, nothing more comes.
    if (this.#isStopping) response.once("close", () => response.req.socket.end());
    if (outcome.kind === "broken") response.destroy();
    if (outcome.kind === "stale") this.#judgeAgain(asked, response);
    const told = answerOf(outcome);
    if (told === null) return;
    // What was cut was counted then.
    if (told.answer !== "cut") this.#deps.count(told.answer);
    answerAsGate(response, told.answer, told.reason);
  }

  /** Its VM was closed while it waited for a connection: nothing was sent. */
  #judgeAgain(asked: GateRequest, response: ServerResponse): void {
    const id = this.#flights.nextId();
    const why = this.#deps.state.request(id, asked);
    if (why !== null) {
      this.#refuse(asked, why, response);
      return;
    }
    this.#deps.state.ended(id);
    answerAsGate(response, "unreachable", `${asked.vm} was closed and opened again`);
  }

  /** Judged as a request, and nothing is sent to the VM: it counts as none. */
  #probe(asked: GateRequest, response: ServerResponse): void {
    const { state } = this.#deps;
    const id = this.#flights.nextId();
    const why = this.#isStopping ? "shut" : state.request(id, asked);
    if (why !== null) {
      this.#refuse(asked, why, response);
      return;
    }
    state.ended(id);
    const place = state.placeOf(asked.app, asked.vm);
    if (place === undefined) answerAsGate(response, "unreachable", `${asked.vm} has no address there yet`);
    else
      dial(place, (reason) => answerAsGate(response, reason === null ? "done" : "unreachable", reason ?? ""));
  }

  async #giveEntries({ app }: GateRequest, response: ServerResponse): Promise<void> {
    const { state, entriesOf } = this.#deps;
    // Who asks of any name must not make the agent look for it.
    const proofs = state.recordOf(app) === undefined ? [] : await entriesOf(app);
    answerAsGate(response, "done", encodeRecord({ format: 1, proofs }));
  }

  #takeRecord(request: IncomingMessage, response: ServerResponse): void {
    if (this.#handIns >= GATE_HAND_INS_MAX) {
      answerAsGate(response, "failed", "too many at once");
      return;
    }
    this.#handIns += 1;
    const timer = setTimeout(() => request.destroy(), GATE_ERRAND_TIMEOUT_MS);
    const reading = readWhole(request, GATE_HAND_IN_BYTES_MAX).finally(() => {
      clearTimeout(timer);
      this.#handIns -= 1;
    });
    reading.then(
      (bytes) => this.#judgeRecord(bytes, response),
      // The proxy left, or was too slow.
      () => response.destroy(),
    );
  }

  #judgeRecord(bytes: Uint8Array | null, response: ServerResponse): void {
    const handed = bytes === null ? null : decodeRecord(gateHandInShape, bytes);
    if (!handed?.ok) {
      answerAsGate(response, "failed", handed === null ? "too long" : handed.error);
      return;
    }
    const { state, count, onHandedIn } = this.#deps;
    const { key, record, links } = handed.value;
    for (const link of links) state.learn(link);
    const taken = state.take(key, record);
    count(taken.ok ? "records-handed-in" : `records-refused-${taken.error}`);
    if (taken.ok) onHandedIn(key, record);
    answerAsGate(response, taken.ok ? "done" : "failed", taken.ok ? "" : taken.error);
  }
}

function headerOf({ headers }: IncomingMessage): string | undefined {
  const value = headers[GATE_HEADER];
  return typeof value === "string" ? value : undefined;
}

/** What is meant for one connection, and what only a gate and a proxy may say, stays here. */
function passOn(raw: readonly string[]): string[] {
  return responseHeaders(raw, {});
}
