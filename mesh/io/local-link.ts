// LocalLink: two processes of one machine that talk over a socket of its file system, in frames. Reliable and in order while it
// stands; who cannot keep up is let go of, and is told all anew when it is back.

import type { Socket } from "node:net";
import { LOCAL_LINK_QUEUE_BYTES_MAX, REGISTER_READ_BYTES_MAX } from "../limits.ts";
import { messageOf } from "../result.ts";
import { FrameCutter, frame } from "./frames.ts";

export interface LocalLinkListener {
  /** Must not throw. */
  readonly onMessage: (bytes: Uint8Array) => void;
  /** Once. */
  readonly onEnd: (reason: string) => void;
}

export class LocalLink {
  readonly #socket: Socket;
  #reason = "the other side closed it";

  /** `socket` is connected. */
  constructor(socket: Socket, { onMessage, onEnd }: LocalLinkListener) {
    this.#socket = socket;
    const cutter = new FrameCutter(REGISTER_READ_BYTES_MAX);
    socket.on("data", (chunk: Buffer) => {
      try {
        for (const bytes of cutter.push(chunk)) onMessage(bytes);
      } catch (error) {
        this.close(messageOf(error));
      }
    });
    socket.on("error", (error) => {
      this.#reason = error.message;
    });
    socket.once("close", () => onEnd(this.#reason));
  }

  /** What is sent after the end is lost. */
  send(bytes: Uint8Array): void {
    if (this.#socket.destroyed) return;
    this.#socket.write(frame(bytes));
    if (this.#socket.writableLength > LOCAL_LINK_QUEUE_BYTES_MAX)
      this.close("it does not read what it is told");
  }

  close(reason: string): void {
    this.#reason = reason;
    this.#socket.destroy();
  }
}
