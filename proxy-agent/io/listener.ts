// Listener: opens the port of an HTTP server and knows its connections, so that it can be closed without failing a request that is
// on its way in one of them.

import type { Server as HttpServer } from "node:http";
import net, { type AddressInfo, type Socket } from "node:net";
import type { Logger } from "pino";
import { STOP_IDLE_MS, STOP_TIMEOUT_MS } from "../limits.ts";

export class Listener {
  readonly #server: HttpServer;
  readonly #sockets = new Set<Socket>();
  readonly #allClosed: (() => void)[] = [];

  constructor(server: HttpServer) {
    this.#server = server;
    server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#socketClosed(socket));
    });
  }

  /** Connections open now. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** Rejects with the system's error (EADDRINUSE, EACCES, …). Resolves to what it listens on. */
  async listen(
    address: { readonly host: string; readonly port: number },
    logger: Logger,
  ): Promise<AddressInfo> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once("error", reject);
    this.#server.listen(address.port, address.host, resolve);
    await promise;
    this.#server.removeListener("error", reject);
    this.#server.on("error", (error) => logger.error({ error: error.message }, "listener failed"));
    return this.#server.address() as AddressInfo;
  }

  /**
   * Takes no new connection. Idle connections stay for a moment, since a request may be on its way in them; who still answers then
   * has more time, and what is left at the deadline is cut.
   */
  async stop(options: { readonly busy: () => ReadonlySet<Socket>; readonly cut: () => void }): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => {
      this.#server.once("close", () => resolve());
    });
    // Not http's own close: it would end the idle connections at once.
    net.Server.prototype.close.call(this.#server);
    await this.#untilAllClosed(STOP_IDLE_MS);
    const busy = options.busy();
    for (const socket of this.#sockets) if (!busy.has(socket)) socket.end();
    await this.#untilAllClosed(STOP_TIMEOUT_MS);
    options.cut();
    for (const socket of this.#sockets) socket.destroy();
    // Ends what http itself keeps: its look at slow connections.
    this.#server.close();
    await closed;
  }

  #socketClosed(socket: Socket): void {
    this.#sockets.delete(socket);
    if (this.#sockets.size === 0) for (const resolve of this.#allClosed.splice(0)) resolve();
  }

  async #untilAllClosed(timeoutMs: number): Promise<void> {
    if (this.#sockets.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#allClosed.push(resolve);
    const timer = setTimeout(resolve, timeoutMs);
    await promise;
    clearTimeout(timer);
  }
}
