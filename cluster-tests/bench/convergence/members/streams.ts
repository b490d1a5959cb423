// Streams floor: the writer sends each event over standing libp2p streams to all others: TCP, Noise and Yamux with the settings
// of mesh/io/libp2p.ts, and nothing of gossip.

import type { Stream } from "@libp2p/interface";
import { noise } from "@libp2p/noise";
import { tcp } from "@libp2p/tcp";
import { multiaddr } from "@multiformats/multiaddr";
import { createLibp2p } from "libp2p";
import { frame, listenFrames } from "../../../../mesh/io/frames.ts";
import { meshYamux } from "../../../../mesh/io/yamux.ts";
import { CONNECTIONS_MAX, DIALS_MAX, FRAME_BYTES_MAX } from "../../../../mesh/limits.ts";
import { FloorBooks } from "./floor-books.ts";
import { runMember } from "./member-shell.ts";

const PROTOCOL = "/grapevine-bench/events/1";

await runMember(async ({ name, address }, clock) => {
  const books = new FloorBooks(name, clock);
  const node = await createLibp2p({
    addresses: { listen: [`/ip4/${address}/tcp/0`] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [meshYamux],
    connectionMonitor: { enabled: false },
    connectionManager: {
      maxConnections: CONNECTIONS_MAX,
      maxParallelDials: DIALS_MAX,
      inboundConnectionThreshold: CONNECTIONS_MAX,
      maxIncomingPendingConnections: CONNECTIONS_MAX,
    },
  });
  const outbound: Stream[] = [];
  await node.handle(
    PROTOCOL,
    (stream) => {
      listenFrames(stream, FRAME_BYTES_MAX, {
        onFrame: (bytes) => books.arrived(Buffer.from(bytes).toString("latin1")),
        onEnd: () => undefined,
      });
    },
    { maxInboundStreams: CONNECTIONS_MAX },
  );
  return {
    contact: node.getMultiaddrs()[0]?.toString() ?? "",
    handlers: {
      meet: async ({ peers, writes }) => {
        for (const { contact } of writes ? peers : []) {
          const connection = await node.dial(multiaddr(contact));
          outbound.push(await connection.newStream(PROTOCOL));
        }
        return {};
      },
      run: (command) =>
        books.run(command, (event) => {
          const atMs = clock.nowMs();
          const bytes = frame(Buffer.from(event, "latin1"));
          for (const stream of outbound) stream.send(bytes);
          return atMs;
        }),
      gather: (command) => books.gather(command),
    },
    stop: async () => node.stop(),
  };
});
