// Links: who is connected. A connection counts once its hello was accepted; a link is up once our standing stream to the
// peer is open on one of its connections. Frames are read only then, so that every question finds the way back open.
// A peer that gives no sign of life is cut off: libp2p itself would wait for TCP.

import { once } from "node:events";
import type { Connection, Libp2p, Stream } from "@libp2p/interface";
import type { Logger } from "pino";
import { encodeMessage } from "../core/codec.ts";
import type { OwnerId } from "../core/ids.ts";
import type { HelloMessage } from "../core/message.ts";
import { FRAME_BYTES_MAX, PEER_QUEUE_BYTES_MAX, PING_INTERVAL_MS } from "../limits.ts";
import { messageOf } from "../result.ts";
import { frame, listenFrames } from "./frames.ts";
import { exchangeHello, HELLO_PROTOCOL, HELLO_TIMEOUT_MS } from "./hello.ts";
import { abortConnection, hasGossipStream, type Link, newLink, ownerOf } from "./link.ts";
import { LinkWatch } from "./link-watch.ts";

/** A standing stream that cannot be opened in this time is on a connection that is not worth keeping. */
const OPEN_TIMEOUT_MS = 2_000;
/** Ticks that a link may be without gossipsub's stream: it is set up in the first, and never again once lost (measured). */
const GOSSIPLESS_TICKS_MAX = 6;
/** Ticks after which a link that is up has settled: longer than dials can cross (1.5 s), less than its end takes to give it up (3 s). */
const SETTLED_TICKS = 5;
/** Foreigners that are remembered: who makes up more of them is not worth the memory, nor the lines. */
const NAMED_MAX = 1_000;

/** How the hello of one connection ended. `foreign`: a member of another cluster. */
export type Admission = "accepted" | "foreign" | "failed";

export interface LinkEvents {
  onUp(peer: OwnerId): void;
  onDown(peer: OwnerId): void;
  onFrame(peer: OwnerId, bytes: Uint8Array): void;
  /** Frames to it were dropped. */
  onOverflow(peer: OwnerId): void;
  count(counter: LinkCounter): void;
}

type LinkCounter =
  | "dials-taken"
  | "links-up"
  | "links-down"
  | "foreign-cluster-refused"
  | "hellos-failed"
  | "frames-dropped"
  | "peers-silent"
  | "gossip-streams-lost";

export interface LinksOptions {
  readonly cluster: string;
  readonly hello: () => HelloMessage;
}

export interface LinksDeps {
  readonly node: Libp2p;
  readonly logger: Logger;
  readonly events: LinkEvents;
}

export class Links {
  readonly #options: LinksOptions;
  readonly #node: Libp2p;
  readonly #logger: Logger;
  readonly #events: LinkEvents;
  readonly #framesProtocol: string;
  readonly #links = new Map<OwnerId, Link>();
  readonly #admissions = new Map<Connection, PromiseWithResolvers<Admission>>();
  /** Foreigners that were named in the log: once each is enough. */
  readonly #named = new Set<string>();
  #pings: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(options: LinksOptions, deps: LinksDeps) {
    this.#options = options;
    this.#node = deps.node;
    this.#logger = deps.logger;
    this.#events = deps.events;
    this.#framesProtocol = `/grapevine/${options.cluster}/frames/1`;
  }

  /** Before the node starts: no peer may find a protocol missing. */
  async start(): Promise<void> {
    const onHello = (stream: Stream, connection: Connection): Promise<void> =>
      this.#greet(stream, connection);
    const onFrames = (stream: Stream, connection: Connection): Promise<void> =>
      this.#admitStream(stream, connection);
    await this.#node.handle(HELLO_PROTOCOL, onHello, { maxInboundStreams: 2 });
    await this.#node.handle(this.#framesProtocol, onFrames, { maxInboundStreams: 4 });
    this.#node.addEventListener("connection:open", (event) => this.#opened(event.detail));
    this.#node.addEventListener("connection:close", (event) => this.#closed(event.detail));
    this.#pings = setInterval(() => this.#tick(), PING_INTERVAL_MS);
  }

  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#pings);
    // Connections are the node's to close: it flushes what was just written.
    for (const admission of this.#admissions.values()) admission.resolve("failed");
  }

  isUp(peer: OwnerId): boolean {
    return this.#links.get(peer)?.outbound !== undefined;
  }

  /** A connection to it is open, and its hello or our standing stream is under way. */
  isComing(peer: OwnerId): boolean {
    if (this.#links.has(peer)) return !this.isUp(peer);
    return [...this.#admissions.keys()].some((connection) => ownerOf(connection) === peer);
  }

  /** The connection that the standing stream is on. */
  connectionTo(peer: OwnerId): Connection | undefined {
    return this.#links.get(peer)?.outbound?.connection;
  }

  /** Resolves when the hello of a connection is over. */
  admission(connection: Connection): Promise<Admission> {
    return this.#admissionOf(connection).promise;
  }

  /** False when the link is down or its queue full; then the frame is gone. */
  send(peer: OwnerId, bytes: Uint8Array): boolean {
    const link = this.#links.get(peer);
    const stream = link?.outbound?.stream;
    if (stream === undefined) return false;
    link?.watch.said();
    if (stream.writeBufferLength + bytes.length > PEER_QUEUE_BYTES_MAX) {
      this.#events.count("frames-dropped");
      this.#events.onOverflow(peer);
      return false;
    }
    try {
      stream.send(frame(bytes));
      return true;
    } catch {
      // Closed a moment ago: its close event follows.
      return false;
    }
  }

  /** Looks at the link now, at the fast interval, and cuts it when that stays unanswered. */
  doubt(peer: OwnerId): void {
    if (this.#links.get(peer)?.watch.doubt() === true) this.send(peer, PING);
  }

  // --- hello

  #opened(connection: Connection): void {
    const admission = this.#admissionOf(connection);
    const deadline = setTimeout(() => abortConnection(connection, "no hello in time"), HELLO_TIMEOUT_MS);
    void admission.promise.then(() => clearTimeout(deadline));
    if (connection.direction === "outbound") void this.#openHello(connection);
    else this.#events.count("dials-taken");
  }

  async #openHello(connection: Connection): Promise<void> {
    try {
      const signal = AbortSignal.timeout(HELLO_TIMEOUT_MS);
      await this.#greet(await connection.newStream(HELLO_PROTOCOL, { signal }), connection);
    } catch (error) {
      this.#fail(connection, messageOf(error));
    }
  }

  async #greet(stream: Stream, connection: Connection): Promise<void> {
    const theirs = await exchangeHello(stream, this.#options.hello());
    if (!theirs.ok) {
      stream.abort(new Error(theirs.error));
      return this.#fail(connection, theirs.error);
    }
    // Flushes ours, so that a foreigner learns our name before the connection goes.
    await stream.close().catch((error: Error) => stream.abort(error));
    if (theirs.value.cluster === this.#options.cluster) this.#accept(connection, theirs.value.incarnation);
    else await this.#refuse(connection, stream, theirs.value);
  }

  #accept(connection: Connection, incarnation: number): void {
    if (this.#isStopped || connection.status !== "open") {
      this.#fail(connection, "connection lost");
      return;
    }
    const peer = ownerOf(connection);
    this.#cutOtherProcess(peer, incarnation);
    const link = this.#links.get(peer) ?? newLink(peer, incarnation);
    this.#links.set(peer, link);
    if (connection.direction === "inbound" && isSettled(link)) {
      this.#beginAnew(link, connection);
      return;
    }
    link.connections.add(connection);
    this.#admissionOf(connection).resolve("accepted");
    this.#openOutbound(link);
  }

  /**
   * Who speaks now lives: what another process with this key left open is of one that died without a word, or of a twin.
   * Answers to the one must not go to the other.
   */
  #cutOtherProcess(peer: OwnerId, incarnation: number): void {
    const link = this.#links.get(peer);
    if (link === undefined || link.incarnation === incarnation) return;
    this.#links.delete(peer);
    this.#cut(link, "another process of this member came");
    if (link.outbound !== undefined) this.#outboundLost(link, link.outbound.stream);
  }

  /**
   * Who dials has no link to us: what we still have is gone at its end, and what we say there would be lost, while what it
   * says on the new connection would keep us from noticing. All go, the new one too: gossipsub opens no stream on it while
   * it knows an older one. The peer dials again within 0.1 s.
   */
  #beginAnew(link: Link, connection: Connection): void {
    const reason = "the peer dialed again";
    this.#cut(link, reason);
    if (link.outbound !== undefined) this.#outboundLost(link, link.outbound.stream);
    this.#fail(connection, reason);
  }

  async #refuse(connection: Connection, stream: Stream, theirs: HelloMessage): Promise<void> {
    const fields = { peer: ownerOf(connection), name: theirs.name, theirs: theirs.cluster };
    const name = `${fields.peer} ${fields.theirs}`;
    const isNew = !this.#named.has(name) && this.#named.size < NAMED_MAX;
    if (isNew) this.#named.add(name);
    const level = isNew ? "warn" : "debug";
    this.#logger[level]({ ...fields, ours: this.#options.cluster }, "refused a member of another cluster");
    this.#events.count("foreign-cluster-refused");
    this.#admissionOf(connection).resolve("foreign");
    // A socket that is closed with something unread resets the other side, which then loses our hello: it closes first.
    const read = AbortSignal.timeout(HELLO_TIMEOUT_MS);
    if (stream.status === "open") await once(stream, "close", { signal: read }).catch(() => undefined);
    connection.close().catch((error: unknown) => abortConnection(connection, messageOf(error)));
  }

  #fail(connection: Connection, reason: string): void {
    if (!this.#isStopped) this.#events.count("hellos-failed");
    this.#logger.debug({ peer: ownerOf(connection), reason }, "hello failed");
    this.#admissionOf(connection).resolve("failed");
    abortConnection(connection, reason);
  }

  #admissionOf(connection: Connection): PromiseWithResolvers<Admission> {
    const known = this.#admissions.get(connection);
    if (known !== undefined) return known;
    const admission = Promise.withResolvers<Admission>();
    if (connection.status === "open") this.#admissions.set(connection, admission);
    else admission.resolve("failed");
    return admission;
  }

  // --- standing streams

  /** On one of its connections, if there is none and none is being opened. */
  #openOutbound(link: Link): void {
    const [connection] = link.connections;
    if (connection === undefined || link.outbound !== undefined || link.opening !== undefined) return;
    if (this.#isStopped) return;
    link.opening = connection;
    void this.#openOn(link, connection);
  }

  async #openOn(link: Link, connection: Connection): Promise<void> {
    try {
      const signal = AbortSignal.timeout(OPEN_TIMEOUT_MS);
      const stream = await connection.newStream(this.#framesProtocol, { signal });
      if (stream.status !== "open") throw new Error("standing stream lost");
      link.opening = undefined;
      stream.maxWriteBufferLength = PEER_QUEUE_BYTES_MAX + FRAME_BYTES_MAX;
      stream.addEventListener("close", () => this.#outboundLost(link, stream));
      link.outbound = { connection, stream };
      this.#up(link);
    } catch (error) {
      link.opening = undefined;
      abortConnection(connection, messageOf(error));
      this.#drop(link, connection);
    }
  }

  #up(link: Link): void {
    link.watch = new LinkWatch(Math.random);
    link.upTicks = 0;
    link.gossiplessTicks = 0;
    this.#events.count("links-up");
    this.#events.onUp(link.peer);
    for (const [stream, connection] of link.waiting) this.#listen(link, stream, connection);
    link.waiting.clear();
  }

  #outboundLost(link: Link, stream: Stream): void {
    if (link.outbound?.stream !== stream) return;
    const { connection } = link.outbound;
    link.outbound = undefined;
    this.#events.count("links-down");
    this.#events.onDown(link.peer);
    // The stream went and its connection did not: nothing on it can be trusted to be heard.
    if (connection.status === "open") abortConnection(connection, "standing stream lost");
    this.#drop(link, connection);
  }

  /** The next of its connections takes over; without one nothing of the peer is kept. */
  #drop(link: Link, connection: Connection): void {
    link.connections.delete(connection);
    if (link.connections.size > 0) this.#openOutbound(link);
    else if (this.#links.get(link.peer) === link) this.#links.delete(link.peer);
  }

  async #admitStream(stream: Stream, connection: Connection): Promise<void> {
    const admission = await this.admission(connection);
    const link = this.#links.get(ownerOf(connection));
    if (admission !== "accepted" || link === undefined) stream.abort(new Error("no hello"));
    else if (link.outbound === undefined) link.waiting.set(stream, connection);
    else this.#listen(link, stream, connection);
  }

  #listen(link: Link, stream: Stream, connection: Connection): void {
    listenFrames(stream, FRAME_BYTES_MAX, {
      onFrame: (bytes) => {
        link.watch.heard();
        this.#events.onFrame(link.peer, bytes);
      },
      onEnd: (reason) => {
        this.#logger.debug({ peer: link.peer, reason }, "standing stream ended");
        // What it says from here on would be lost; a new connection begins anew.
        abortConnection(connection, reason);
      },
    });
  }

  // --- life and death

  #closed(connection: Connection): void {
    this.#admissionOf(connection).resolve("failed");
    this.#admissions.delete(connection);
    const link = this.#links.get(ownerOf(connection));
    if (link === undefined) return;
    if (link.outbound?.connection === connection) this.#outboundLost(link, link.outbound.stream);
    else this.#drop(link, connection);
  }

  #tick(): void {
    for (const link of [...this.#links.values()]) {
      if (link.outbound === undefined) continue;
      link.upTicks += 1;
      this.#watchLife(link);
      this.#watchGossip(link);
    }
  }

  #watchLife(link: Link): void {
    const step = link.watch.tick();
    if (step === "ping") this.send(link.peer, PING);
    if (step !== "dead") return;
    this.#events.count("peers-silent");
    this.#cut(link, "silent");
  }

  /** gossipsub does not reopen a stream that was lost: the peer would be in its mesh and hear nothing, for ever. */
  #watchGossip(link: Link): void {
    const hasGossip = [...link.connections].some(hasGossipStream);
    link.gossiplessTicks = hasGossip ? 0 : link.gossiplessTicks + 1;
    if (link.gossiplessTicks <= GOSSIPLESS_TICKS_MAX) return;
    this.#events.count("gossip-streams-lost");
    this.#cut(link, "gossip stream lost");
  }

  #cut(link: Link, reason: string): void {
    for (const connection of [...link.connections]) abortConnection(connection, reason);
  }
}

const PING = encodeMessage({ kind: "ping" });

/** Not in the first moments: then the two may have dialed each other. */
function isSettled(link: Link): boolean {
  return link.outbound !== undefined && link.upTicks >= SETTLED_TICKS;
}
