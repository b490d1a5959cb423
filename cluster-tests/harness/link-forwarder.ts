// Link forwarder: the one way by which one member reaches another, so that a test can take it away.

import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** `cut`: connections end, and new ones at once. `hole`: both are accepted, and all that is said is lost. */
export type LinkState = "open" | "cut" | "hole";

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
    if (state === "cut" || this.#state === "hole") this.#cut();
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
    this.#pass(inbound, outbound);
    this.#pass(outbound, inbound);
  }

  #pass(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.on("error", () => undefined);
    from.on("data", (bytes) => {
      if (this.#state === "open") to.write(bytes);
    });
    from.on("close", () => {
      this.#sockets.delete(from);
      if (this.#state !== "hole") to.destroy();
    });
  }
}
