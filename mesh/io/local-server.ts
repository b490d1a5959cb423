// LocalServer: where other processes of this machine reach this one: a socket of its file system that only our user may open.

import { chmodSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";

export class LocalServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(onSocket: (socket: Socket) => void) {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
      onSocket(socket);
    });
  }

  /** Takes the place of what is there, which must be what a killed process left. Rejects when the socket cannot be made. */
  async listen(file: string): Promise<void> {
    rmSync(file, { force: true });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once("error", reject);
    this.#server.listen(file, resolve);
    await promise;
    chmodSync(file, 0o600);
  }

  /** Ends every connection. */
  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    if (this.#server.listening) await new Promise<void>((closed) => this.#server.close(() => closed()));
  }
}
