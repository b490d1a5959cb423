// Yamux with two changes that its connection sees: a send after the end does not throw, and small credits are held back.

import type { StreamMuxerFactory } from "@libp2p/interface";
import { yamux } from "@libp2p/yamux";
import { holdWindowUpdates } from "./window-updates.ts";

/** Must stay below the 4 MiB that a paused stream may buffer, or pausing would reset it. */
const STREAM_WINDOW_BYTES_MAX = 2 * 1024 * 1024;

/**
 * Yamux sends from detached microtasks (opening a stream, continuing after a drain): a peer that was killed at that moment
 * ended our process by an uncaught StreamStateError (seen with a stopped peer; js-libp2p issues 3415 and 3512 are of the kind).
 */
export function meshYamux(): StreamMuxerFactory {
  const factory = yamux({
    streamOptions: { maxStreamWindowSize: STREAM_WINDOW_BYTES_MAX },
    // link-watch.ts pings a link that is quiet. Yamux pings also one that is not: a seventh of an idle member's bytes (measured).
    enableKeepAlive: false,
  })();
  const createStreamMuxer: StreamMuxerFactory["createStreamMuxer"] = (connection) => {
    const send = connection.send.bind(connection);
    connection.send = holdWindowUpdates((data) => {
      try {
        return send(data);
      } catch (error) {
        // False is "full": its users wait for a drain, and get the close event.
        if (error instanceof Error && error.name === "StreamStateError") return false;
        throw error;
      }
    });
    return factory.createStreamMuxer(connection);
  };
  return { protocol: factory.protocol, createStreamMuxer };
}
