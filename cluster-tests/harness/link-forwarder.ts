// Link forwarder: the one way by which one member reaches another, so that a test can take it away.

import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/**
 * `cut`: connections end, and new ones at once. `hole`: both are accepted, and all that is said is lost. `no-there`: what the
 * dialing side says is lost; `no-back`: what it is told.
 */
export type LinkState = "open" | "cut" | "hole" | "no-there" | "no-back";
type Way = "there" | "back";

/** What was in one of them has lost bytes. */
const LOSING: ReadonlySet<LinkState> = new Set(["hole", "no-there", "no-back"]);

/** No Nagle: it would hold back each answer for the 40 ms of a delayed acknowledgment, which members themselves switch off. */
export class LinkForwarder {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #port: () => number | undefined;
  #state: LinkState = "open";

  /** `port` is where the member listens now; undefined: it does not run, and nobody answers. */
  static async start(port: () => number | undefined): Promise<LinkForwarder> {
    const forwarder = new LinkForwarder(port);
    await new Promise<void>((resolve) => forwarder.#server.listen(0, "127.0.0.1", resolve));
    return forwarder;
  }

  private constructor(port: () => number | undefined) {
    this.#port = port;
    this.#server = createServer({ noDelay: true }, (inbound) => this.#forward(inbound));
  }

  /** As a multiaddr. */
  get address(): string {
    return `/ip4/127.0.0.1/tcp/${(this.#server.address() as AddressInfo).port}`;
  }

  /** What was in a hole has lost bytes: out of one as into a cut its connections end. */
  become(state: LinkState): void {
    if (state === "cut" || LOSING.has(this.#state)) this.#cut();
    this.#state = state;
  }

  stop(): Promise<void> {
    this.#cut();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #cut(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
  }

  #forward(inbound: Socket): void {
    const port = this.#port();
    if (this.#state === "cut" || port === undefined) {
      inbound.destroy();
      return;
    }
    const outbound = connect({ port, host: "127.0.0.1", noDelay: true });
    this.#pass(inbound, outbound, "there");
    this.#pass(outbound, inbound, "back");
  }

  #pass(from: Socket, to: Socket, way: Way): void {
    this.#sockets.add(from);
    from.on("error", () => undefined);
    from.on("data", (bytes) => {
      if (this.#passes(way)) to.write(bytes);
    });
    from.on("close", () => {
      this.#sockets.delete(from);
      if (this.#passes(way) || this.#state === "cut") to.destroy();
    });
  }

  #passes(way: Way): boolean {
    return (
      this.#state === "open" ||
      (this.#state !== "hole" && this.#state !== "cut" && this.#state !== `no-${way}`)
    );
  }
}
