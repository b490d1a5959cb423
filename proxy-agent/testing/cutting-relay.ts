// Cutting relay: the one way by which one process reaches another, which ends the connection that comes by a wanted place first:
// after so many bytes of what is asked or answered, counted from the start, from the end of a head, or from the end of a claim.

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** "there": what the dialling side says. "back": what it is told. */
export type Way = "there" | "back";

export interface Cut {
  readonly way: Way;
  /** `claim`: the end of an interim answer (1xx). `head`: the end of the request's head, or of the answer's. */
  readonly from: "start" | "claim" | "head";
  /** Of what comes after `from`, so many pass. Negative: of what is before it, so many do not. */
  readonly bytes: number;
  /** By an orderly end, after all that may pass; or by a reset, which may overtake it. */
  readonly how: "end" | "reset";
}

const HEAD_END = "\r\n\r\n";

export class CuttingRelay {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #port: () => number;
  #cut: Cut | null = null;
  /** Those that were told the end by a cut. */
  readonly #ended = new WeakSet<Socket>();
  #scans = new Map<Socket, Scan>();

  /** Resolves when it listens. `port`: to which it relays, asked for each connection. */
  static async start(port: () => number): Promise<CuttingRelay> {
    const relay = new CuttingRelay(port);
    await relay.listen(0);
    return relay;
  }

  private constructor(port: () => number) {
    this.#port = port;
    this.#server = createServer({ noDelay: true }, (inner) => this.#relay(inner));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Connections now. */
  get connections(): number {
    return this.#sockets.size / 2;
  }

  /** The next that comes by this place is cut there; counted from now on, also on connections that are there. */
  arm(cut: Cut): void {
    this.#cut = cut;
    this.#scans = new Map();
  }

  /** No longer. True: the place never came by. */
  disarm(): boolean {
    const wasArmed = this.#cut !== null;
    this.#cut = null;
    return wasArmed;
  }

  /** Cuts what is there; `listen` takes new ones again. Whoever dials meanwhile is refused. */
  async refuse(): Promise<number> {
    const { port } = this;
    this.cutAll();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    return port;
  }

  async listen(port: number): Promise<void> {
    this.#server.listen(port, "127.0.0.1");
    await once(this.#server, "listening");
  }

  /** As a side does that ends what is idle. Resolves when both sides have let go of all connections. */
  async endIdle(): Promise<void> {
    const closed = [...this.#sockets].map((socket) => once(socket, "close"));
    for (const socket of this.#sockets) socket.end();
    await Promise.all(closed);
  }

  cutAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    if (this.#server.listening) await this.refuse();
  }

  #relay(inner: Socket): void {
    const outer = connect({ port: this.#port(), host: "127.0.0.1", noDelay: true });
    for (const socket of [inner, outer]) {
      this.#sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        this.#sockets.delete(socket);
        for (const other of [inner, outer]) if (!this.#ended.has(other)) other.destroy();
      });
    }
    this.#pass(inner, outer, "there");
    this.#pass(outer, inner, "back");
  }

  #pass(from: Socket, to: Socket, way: Way): void {
    from.on("data", (bytes: Buffer) => {
      if (this.#ended.has(from)) return;
      const cut = this.#cut;
      if (cut?.way !== way) {
        write(from, to, bytes);
        return;
      }
      const scan = this.#scans.get(from) ?? new Scan(cut);
      this.#scans.set(from, scan);
      const passed = scan.pass(bytes);
      if (!scan.isOver) {
        write(from, to, passed);
        return;
      }
      this.#cut = null;
      from.pause();
      // After what may pass was handed to the system. Who is told the end is read on: bytes that nobody reads would make a reset of it.
      if (cut.how === "end") {
        this.#ended.add(to);
        to.end(passed, () => from.destroy());
        to.resume();
      } else to.write(passed, () => void [from, to].map((socket) => socket.resetAndDestroy()));
    });
    from.on("end", () => to.end());
  }
}

/** Not ahead of who reads. */
function write(from: Socket, to: Socket, bytes: Buffer): void {
  if (bytes.length === 0 || to.write(bytes)) return;
  from.pause();
  to.once("drain", () => from.resume());
}

/** What passes of one connection, one way, until the place of a cut. */
class Scan {
  readonly #cut: Cut;
  #held: Buffer = Buffer.alloc(0);
  #passed = 0;
  /** In bytes of this way; null: not known yet. */
  #cutAt: number | null;

  constructor(cut: Cut) {
    this.#cut = cut;
    this.#cutAt = cut.from === "start" ? cut.bytes : null;
  }

  get isOver(): boolean {
    return this.#cutAt === this.#passed;
  }

  pass(bytes: Buffer): Buffer {
    this.#held = Buffer.concat([this.#held, bytes]);
    const parts: Buffer[] = [];
    for (let end = this.#headEnd(); this.#cutAt === null && end !== -1; end = this.#headEnd()) {
      const isInterim = this.#held.toString("latin1", 0, 10).startsWith("HTTP/1.1 1");
      if (isInterim === (this.#cut.from === "claim")) this.#cutAt = this.#passed + end + this.#cut.bytes;
      else parts.push(this.#take(end));
    }
    if (this.#cutAt !== null) parts.push(this.#take(this.#cutAt - this.#passed));
    return Buffer.concat(parts);
  }

  /** -1: it has not come whole. */
  #headEnd(): number {
    const at = this.#held.indexOf(HEAD_END);
    return at === -1 ? -1 : at + HEAD_END.length;
  }

  #take(count: number): Buffer {
    const taken = this.#held.subarray(0, count);
    this.#held = this.#held.subarray(count);
    this.#passed += taken.length;
    return taken;
  }
}
