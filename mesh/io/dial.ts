// Dial: one attempt to reach a member, up to its accepted hello.

import type { Connection } from "@libp2p/interface";
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import type { Logger } from "pino";
import { type OwnerId, ownerId } from "../core/ids.ts";
import { DIAL_TIMEOUT_MS, UPGRADE_TIMEOUT_MS } from "../limits.ts";
import { messageOf } from "../result.ts";
import type { MeshNode } from "./libp2p.ts";
import type { Links } from "./links.ts";
import type { DialOutcome } from "./peers.ts";

export interface DialDeps {
  readonly node: MeshNode;
  readonly links: Links;
  readonly count: (counter: string) => void;
  readonly logger: Logger;
}

/** libp2p's word for: the TCP connection is open, and encryption begins. */
const CONNECTED_EVENT = "upgrader:encrypt-outbound-connection";
/** libp2p tells it by the text alone. */
const SELF_DIAL = /dial(?:ed)? self/i;

/** Of a dial before the start. */
export const NOT_STARTED: DialOutcome = { kind: "failed", isRefused: false };

/** `owner` undefined: whoever answers there, as of a seed. Never rejects. */
export async function dial(
  { node, links, count, logger }: DialDeps,
  addresses: readonly string[],
  owner: OwnerId | undefined,
): Promise<DialOutcome> {
  let connection: Connection;
  count("dials");
  const patience = new Patience();
  try {
    const targets = addresses.map((address) => withPeerId(address, owner));
    connection = await node.dial(targets, { signal: patience.signal, onProgress: patience.onProgress });
  } catch (error) {
    const isSelf = error instanceof Error && SELF_DIAL.test(error.message);
    patience.end();
    count("dials-failed");
    logger.debug({ addresses, reason: messageOf(error) }, "dial failed");
    return isSelf ? { kind: "self" } : { kind: "failed", isRefused: isRefused(error) };
  }
  patience.end();
  const admission = await links.admission(connection);
  if (admission === "failed") return { kind: "failed", isRefused: false };
  if (admission === "foreign") return { kind: "foreign" };
  return { kind: "connected", owner: ownerId(connection.remotePeer.toString()) };
}

/** How long a dial may take: little until its connection is open, more from then on, since somebody is there. */
class Patience {
  readonly #abort = new AbortController();
  #timer: NodeJS.Timeout;

  constructor() {
    // Jittered down to half, so that two that dial each other through a black hole do not both wait when it ends.
    this.#timer = this.#after(DIAL_TIMEOUT_MS * (0.5 + 0.5 * Math.random()));
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  readonly onProgress = ({ type }: { readonly type: string }): void => {
    if (type !== CONNECTED_EVENT) return;
    clearTimeout(this.#timer);
    this.#timer = this.#after(UPGRADE_TIMEOUT_MS);
  };

  end(): void {
    clearTimeout(this.#timer);
  }

  #after(delayMs: number): NodeJS.Timeout {
    return setTimeout(() => this.#abort.abort(new Error(`no answer in ${Math.round(delayMs)} ms`)), delayMs);
  }
}

/** Of several addresses: of each. libp2p keeps the system's code in the text alone. */
function isRefused(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.length > 0 && error.errors.every(isRefused);
  return messageOf(error).includes("ECONNREFUSED");
}

function withPeerId(address: string, owner: OwnerId | undefined): Multiaddr {
  return multiaddr(owner === undefined ? address : `${address}/p2p/${owner}`);
}
