// Tells: handlers of one-way messages by topic, and the way to our own.

import type { OwnerId } from "../core/ids.ts";
import { FRAME_BYTES_MAX, SERVICE_NAME_CHARS_MAX } from "../limits.ts";
import type { TellHandler } from "../mesh.ts";

/** Topic, kind and lengths around the body of a tell. */
const TELL_HEAD_BYTES = 256;

export class Tells {
  readonly #handlers = new Map<string, TellHandler>();

  on(topic: string, handler: TellHandler): void {
    assertServiceName(topic);
    this.#handlers.set(topic, handler);
  }

  receive(topic: string, body: Uint8Array, from: OwnerId): void {
    this.#handlers.get(topic)?.(body, from);
  }

  /** Later, as over a stream, and a copy, as over a stream. */
  toSelf(topic: string, message: Uint8Array, self: OwnerId): void {
    const copy = new Uint8Array(message);
    queueMicrotask(() => this.receive(topic, copy, self));
  }
}

/** A message that cannot be told is a bug of the caller. */
export function assertTell(topic: string, message: Uint8Array): void {
  assertServiceName(topic);
  if (message.length > FRAME_BYTES_MAX - TELL_HEAD_BYTES) throw new Error("bug: message over its bound");
}

export function assertServiceName(name: string): void {
  const isGood = name.length > 0 && name.length <= SERVICE_NAME_CHARS_MAX;
  if (!isGood) throw new Error(`bug: bad service or topic name ${JSON.stringify(name)}`);
}
