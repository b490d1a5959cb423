// Link: what is known of one peer and its connections, and the small questions about a connection. links.ts decides.

import type { Connection, Stream } from "@libp2p/interface";
import { type OwnerId, ownerId } from "../core/ids.ts";
import { LinkWatch } from "./link-watch.ts";

const GOSSIP_PROTOCOLS = "/meshsub/";

/** One peer with at least one accepted connection. */
export interface Link {
  readonly peer: OwnerId;
  /** That its process was born with. */
  readonly incarnation: number;
  readonly connections: Set<Connection>;
  /** Ours to it; undefined while none is open. The link is up while it is there. */
  outbound: { readonly connection: Connection; readonly stream: Stream } | undefined;
  /** Where ours is being opened: one at a time, or the peer would see one end that it counts on. */
  opening: Connection | undefined;
  /** Its streams to us that wait for the link to be up. */
  readonly waiting: Map<Stream, Connection>;
  /** Anew each time that the link comes up. */
  watch: LinkWatch;
  /** Since it came up. */
  upTicks: number;
  gossiplessTicks: number;
}

export function newLink(peer: OwnerId, incarnation: number): Link {
  return {
    peer,
    incarnation,
    connections: new Set(),
    outbound: undefined,
    opening: undefined,
    waiting: new Map(),
    watch: new LinkWatch(Math.random),
    upTicks: 0,
    gossiplessTicks: 0,
  };
}

/** libp2p throws when its own socket went first. */
export function abortConnection(connection: Connection, reason: string): void {
  try {
    connection.abort(new Error(reason));
  } catch {
    // Closed already, which is what was wanted.
  }
}

export function ownerOf(connection: Connection): OwnerId {
  return ownerId(connection.remotePeer.toString());
}

export function hasGossipStream(connection: Connection): boolean {
  return connection.streams.some(
    (stream) =>
      stream.direction === "outbound" &&
      stream.status === "open" &&
      stream.protocol.startsWith(GOSSIP_PROTOCOLS),
  );
}
