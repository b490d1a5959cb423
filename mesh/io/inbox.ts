// Inbox: a frame of a peer, decoded, to whoever it is for. What cannot be read is refused and counted.

import type { Logger } from "pino";
import { decodeMessage } from "../core/codec.ts";
import type { OwnerId } from "../core/ids.ts";
import type { LivenessMessage } from "../core/liveness-face.ts";
import type { DeltaMessage, Message, SummaryMessage } from "../core/message.ts";
import type { Question } from "./questions.ts";

export interface InboxPorts {
  readonly onQuestion: (from: OwnerId, message: Question) => void;
  readonly onMessage: (from: OwnerId, message: DeltaMessage | SummaryMessage) => void;
  readonly onTell: (topic: string, body: Uint8Array, from: OwnerId) => void;
  readonly onLiveness: (from: OwnerId, message: LivenessMessage) => void;
  readonly onPing: (from: OwnerId) => void;
  readonly count: (counter: string) => void;
  readonly logger: Logger;
}

export class Inbox {
  readonly #ports: InboxPorts;

  constructor(ports: InboxPorts) {
    this.#ports = ports;
  }

  frame(peer: OwnerId, bytes: Uint8Array): void {
    const decoded = decodeMessage(bytes);
    if (decoded.ok) {
      this.#handle(peer, decoded.value);
      return;
    }
    this.#ports.count("refused-frame-bytes");
    this.#ports.logger.debug({ peer, reason: decoded.error }, "refused a frame");
  }

  #handle(from: OwnerId, message: Message): void {
    switch (message.kind) {
      case "digest":
      case "pull":
        this.#ports.onQuestion(from, message);
        break;
      case "summary":
      case "delta":
        this.#ports.onMessage(from, message);
        break;
      case "gossip":
        // Only over gossipsub.
        this.#ports.count("refused-frame-gossip");
        break;
      case "tell":
        this.#ports.onTell(message.topic, message.body, from);
        break;
      case "ping":
        this.#ports.onPing(from);
        break;
      case "probe":
      case "probe-ack":
      case "probe-request":
      case "probe-report":
        this.#ports.onLiveness(from, message);
        break;
      case "pong":
      case "hello":
        break;
      default:
        message satisfies never;
    }
  }
}
