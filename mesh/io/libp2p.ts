// The libp2p node: TCP, Noise, Yamux, and gossipsub with the settings that its defaults get wrong for one trusted cluster.

import { hash } from "node:crypto";
// package.json aliases this name to @libp2p/gossipsub: the package of the name stopped at libp2p 2, where development
// went on under the other; the old one installs beside libp2p 3, starts, and silently exchanges nothing (measured).
import {
  type GossipSub,
  gossipsub,
  type Message as PubsubMessage,
  type TopicValidatorFn,
} from "@chainsafe/libp2p-gossipsub";
import { identify } from "@libp2p/identify";
import type { Libp2p, MessageStream, PrivateKey } from "@libp2p/interface";
import { noise } from "@libp2p/noise";
import { ping } from "@libp2p/ping";
import { tcp } from "@libp2p/tcp";
import { createLibp2p } from "libp2p";
import {
  CONNECTIONS_MAX,
  DIAL_TIMEOUT_MS,
  DIALS_MAX,
  GOSSIP_BYTES_MAX,
  UPGRADE_TIMEOUT_MS,
} from "../limits.ts";
import { meshYamux } from "./yamux.ts";

/** What waits for a slow peer in gossipsub; beyond it the stream is aborted, and our watchdog takes the connection. */
const GOSSIP_QUEUE_BYTES_MAX = 4 * 1024 * 1024;
const GOSSIP_ENVELOPE_BYTES = 1024;
/**
 * Neighbours that a message is handed on to. The owner sends it to all that it is connected to; these are for who is not. With
 * gossipsub's 6 (4 to 12) each message came 7 times to each of 16 members (measured); in a simulated cluster of 1,000 with 100
 * connections each, 4 (3 to 6) take as long to the last as 6, 3 (2 to 4) half as long again.
 */
const GOSSIP_MESH = { D: 4, Dlo: 3, Dhi: 6, Dout: 1, Dscore: 2 };
/**
 * Others that are told each second what we have, in case they lack it. Anti-entropy, which compares everything, does the same in the
 * same time: gossipsub's 6, or a quarter of all, were a tenth of what a write costs (measured).
 */
const GOSSIP_LAZY = { Dlazy: 2, gossipFactor: 0.05 };
/** Enough against accidents and second preimages; each is repeated to many peers in gossipsub's IHAVE. */
const MESSAGE_ID_BYTES = 20;
/** Far above what a cluster needs; far below what fills a heap. */
const DECODE_LIMITS = {
  maxSubscriptions: 16,
  maxMessages: 1_000,
  maxIhaveMessageIDs: 5_000,
  maxIwantMessageIDs: 5_000,
  maxIdontwantMessageIDs: 512,
  maxControlMessages: 1_000,
  maxPeerInfos: 16,
};

export interface NodeOptions {
  readonly privateKey: PrivateKey;
  readonly listen: readonly string[];
  readonly topic: string;
  readonly validate: TopicValidatorFn;
  /** Of each message that comes, also of one that came before, and of each that is published here. */
  readonly onCopy?: () => void;
}

export type MeshNode = Libp2p<{ pubsub: GossipSub }>;

/** A node that is not started yet: register protocols first, so that no peer finds them missing. */
export async function createNode(options: NodeOptions): Promise<MeshNode> {
  const node = await createLibp2p({
    start: false,
    privateKey: options.privateKey,
    addresses: { listen: [...options.listen] },
    transports: [tcp()],
    connectionEncrypters: [wholeNoise],
    streamMuxers: [meshYamux],
    services: { identify: identify(), ping: ping(), pubsub: gossipsub(gossipOptions(options)) },
    // Ours pings on the standing stream instead: cheaper than a stream a ping, and it does not blame peers for our stall.
    connectionMonitor: { enabled: false },
    connectionManager: {
      maxConnections: CONNECTIONS_MAX,
      maxParallelDials: DIALS_MAX,
      dialTimeout: DIAL_TIMEOUT_MS + UPGRADE_TIMEOUT_MS,
      // The default of 5 a second for each IP refused 15 of 20 members that started together behind one (measured).
      inboundConnectionThreshold: CONNECTIONS_MAX,
      maxIncomingPendingConnections: CONNECTIONS_MAX,
      inboundUpgradeTimeout: UPGRADE_TIMEOUT_MS,
      // One peer that froze while a stream to it is set up held up all new ones for 13.8 s (measured).
      outboundStreamProtocolNegotiationTimeout: 1_000,
      inboundStreamProtocolNegotiationTimeout: 1_000,
      // Redialing is peers.ts's: libp2p gives a peer up for good after 31 s.
      reconnectRetries: 0,
    },
  });
  node.services.pubsub.topicValidators.set(options.topic, options.validate);
  return node;
}

/**
 * Noise whose messages go to the socket whole. It hands length, text and tag on as a list, and TCP without Nagle makes a packet of each:
 * a third of all packets of an idle cluster, and as many system calls (measured).
 */
const wholeNoise: ReturnType<typeof noise> = (components) => {
  const encrypter = noise()(components);
  const [inbound, outbound] = [encrypter.secureInbound, encrypter.secureOutbound];
  return Object.assign(encrypter, {
    secureInbound: ((connection, options) =>
      inbound.call(encrypter, sendingWhole(connection), options)) satisfies typeof inbound,
    secureOutbound: ((connection, options) =>
      outbound.call(encrypter, sendingWhole(connection), options)) satisfies typeof outbound,
  });
};

function sendingWhole(connection: MessageStream): MessageStream {
  const send = connection.send.bind(connection);
  connection.send = (data) => send(data instanceof Uint8Array ? data : data.subarray());
  return connection;
}

function gossipOptions({ topic, onCopy }: NodeOptions): Parameters<typeof gossipsub>[0] {
  return {
    allowPublishToZeroTopicPeers: true,
    ignoreDuplicatePublishError: true,
    fallbackToFloodsub: false,
    doPX: false,
    ...GOSSIP_MESH,
    ...GOSSIP_LAZY,
    allowedTopics: [topic],
    msgIdFn: (message) => {
      onCopy?.();
      return messageId(message);
    },
    // Accepted messages are handed on by gossip.ts, when it is their time.
    asyncValidation: true,
    maxOutboundBufferSize: GOSSIP_QUEUE_BYTES_MAX,
    maxInboundDataLength: GOSSIP_BYTES_MAX + GOSSIP_ENVELOPE_BYTES,
    decodeRpcLimits: DECODE_LIMITS,
    // Scores are against strangers. Ten members behind one IP collapse the mesh otherwise (measured).
    scoreParams: { IPColocationFactorWeight: 0, behaviourPenaltyWeight: 0 },
    // Heads are signed (core/head.ts), once for all ways that they go; signing the envelope too would say nothing more.
    globalSignaturePolicy: "StrictNoSign",
  };
}

/** A message is the same one by whatever way it comes; a relay that changes a byte makes another, which hides nothing. */
function messageId(message: PubsubMessage): Uint8Array {
  return hash("sha256", message.data, "buffer").subarray(0, MESSAGE_ID_BYTES);
}

/** Multiaddrs without a peer id at which it listens, with the real ports. */
export function addressesOf(node: MeshNode): readonly string[] {
  return node.getMultiaddrs().map((address) => address.toString().replace(/\/p2p\/[^/]+$/, ""));
}
