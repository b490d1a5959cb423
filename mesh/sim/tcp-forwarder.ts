// TCP forwarder: the way to one member, so that a test can take it away.

import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** Passes TCP on to one address. */
export class TcpForwarder {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #outbounds = new Set<Socket>();
  #isHole = false;

  /** `target` is a multiaddr. */
  static async start(target: string): Promise<TcpForwarder> {
    const [, , host = "", , port] = target.split("/");
    const forwarder = new TcpForwarder(host, Number(port));
    await new Promise<void>((resolve) => forwarder.#server.listen(0, "127.0.0.1", resolve));
    return forwarder;
  }

  private constructor(host: string, port: number) {
    this.#server = createServer((inbound) => {
      const outbound = connect(port, host);
      this.#outbounds.add(outbound);
      this.#pass(inbound, outbound);
      this.#pass(outbound, inbound);
    });
  }

  /** As a multiaddr. */
  get address(): string {
    return `/ip4/127.0.0.1/tcp/${(this.#server.address() as AddressInfo).port}`;
  }

  /** Ends what is connected; who dials again is let through. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
    this.#outbounds.clear();
  }

  /** While it is one, what comes in from either side is lost without a word, and connections are accepted. */
  setHole(isHole: boolean): void {
    this.#isHole = isHole;
  }

  /** What the target says is read no more, so that it waits at the target. */
  pause(): void {
    for (const outbound of this.#outbounds) outbound.pause();
  }

  resume(): void {
    for (const outbound of this.#outbounds) outbound.resume();
  }

  stop(): void {
    this.#server.close();
    this.cut();
  }

  #pass(from: Socket, to: Socket): void {
    this.#sockets.add(from.on("error", () => undefined));
    from.on("data", (bytes) => this.#isHole || to.write(bytes));
    from.on("close", () => this.#isHole || to.destroy());
  }
}
