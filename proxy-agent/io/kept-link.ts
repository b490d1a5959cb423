// KeptLink: our end of a LocalLink that is dialled again whenever it breaks, with pauses that grow until the other side said something.

import { connect } from "node:net";
import type { Logger } from "pino";
import type { ZodType } from "zod";
import { decodeRecord, LocalLink, messageOf } from "../../mesh/index.ts";
import { GATE_LINK_PAUSE_FIRST_MS, GATE_LINK_PAUSE_LAST_MS } from "../limits.ts";

export interface KeptLinkOptions<Message> {
  /** Where the other side listens: a socket in the file system. */
  readonly socketFile: string;
  /** Of what it says. One of another release is not half understood: the link to it ends. */
  readonly shape: ZodType<Message>;
  /** Logged once each time it is gone. */
  readonly lostText: string;
  readonly logger: Pick<Logger, "warn">;
}

export interface KeptLinkListener<Message> {
  /** Comes before each dial. What it rejects with counts as the reason why the other side was not reached. */
  readonly prepare?: () => Promise<void>;
  readonly onOpened: () => void;
  /** Must not throw. */
  readonly onMessage: (message: Message) => void;
  /** It ended, also by `stop`, or was not reached. */
  readonly onLost: () => void;
}

export class KeptLink<Message> {
  readonly #options: KeptLinkOptions<Message>;
  readonly #listener: KeptLinkListener<Message>;
  #link: LocalLink | null = null;
  #pauseMs = GATE_LINK_PAUSE_FIRST_MS;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;
  #isToldLost = false;

  constructor(options: KeptLinkOptions<Message>, listener: KeptLinkListener<Message>) {
    this.#options = options;
    this.#listener = listener;
  }

  get isUp(): boolean {
    return this.#link !== null;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  start(): void {
    void this.#dial();
  }

  /** What is sent while it is down is lost. */
  send(bytes: Uint8Array): void {
    this.#link?.send(bytes);
  }

  stop(reason: string): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#link?.close(reason);
  }

  async #dial(): Promise<void> {
    try {
      await this.#listener.prepare?.();
    } catch (error) {
      this.#lost(messageOf(error));
      return;
    }
    if (this.#isStopped) return;
    const socket = connect(this.#options.socketFile);
    const fail = (error: Error) => this.#lost(error.message);
    socket.once("error", fail);
    socket.once("connect", () => {
      socket.removeListener("error", fail);
      if (this.#isStopped) {
        socket.destroy();
        return;
      }
      const link = new LocalLink(socket, {
        onMessage: (bytes) => this.#hear(link, bytes),
        onEnd: (reason) => this.#lost(reason),
      });
      this.#link = link;
      this.#isToldLost = false;
      this.#listener.onOpened();
    });
  }

  #hear(link: LocalLink, bytes: Uint8Array): void {
    const decoded = decodeRecord(this.#options.shape, bytes);
    if (!decoded.ok) {
      link.close(`it says what this release cannot read: ${decoded.error}`);
      return;
    }
    this.#pauseMs = GATE_LINK_PAUSE_FIRST_MS;
    this.#listener.onMessage(decoded.value);
  }

  #lost(reason: string): void {
    this.#link = null;
    this.#listener.onLost();
    if (this.#isStopped) return;
    const { logger, lostText } = this.#options;
    if (!this.#isToldLost) logger.warn({ reason }, lostText);
    this.#isToldLost = true;
    this.#timer = setTimeout(() => void this.#dial(), this.#pauseMs);
    this.#pauseMs = Math.min(2 * this.#pauseMs, GATE_LINK_PAUSE_LAST_MS);
  }
}
