// Gossip: our messages over gossipsub. What is handed on is judged first: accept | ignore | reject. The owner of a message sends it
// to all that it is connected to; who has it from there hands it on a little later, to who has not sent it meanwhile. So handing
// on, which only who has no link to the owner needs, does not compete with the owner's own sending for the CPU of all.

import {
  type GossipsubMessage,
  type Message as PubsubMessage,
  TopicValidatorResult,
} from "@chainsafe/libp2p-gossipsub";
import type { PeerId } from "@libp2p/interface";
import { decodeMessage, encodeMessage } from "../core/codec.ts";
import { handOnDelayMs } from "../core/hand-on-delay.ts";
import { type OwnerId, ownerId } from "../core/ids.ts";
import type { GossipMessage, HostDelta } from "../core/message.ts";
import { HandOn } from "./hand-on.ts";
import type { MeshNode } from "./libp2p.ts";

export type GossipCounter =
  | "gossip-received"
  | "gossip-published-bytes"
  | "gossip-published-to-nobody"
  | "gossip-publish-failed"
  | "refused-gossip-stranger"
  | "refused-gossip-bytes"
  | "refused-gossip-signature";

export interface GossipEvents {
  /** True for a peer whose hello was accepted: others are not heard. */
  isMember(peer: OwnerId): boolean;
  /** True where nobody has more members to be connected to than it may have connections. */
  isFull(): boolean;
  /** True if its owner signed the head that it carries. */
  isSigned(delta: HostDelta): boolean;
  onGossip(from: OwnerId, delta: HostDelta): void;
  count(counter: GossipCounter, by?: number): void;
}

export function gossipTopic(cluster: string): string {
  return `/grapevine/${cluster}/gossip/1`;
}

export class Gossip {
  readonly #topic: string;
  readonly #events: GossipEvents;
  /** What the validator decoded, for the event that follows: nothing is decoded twice. */
  readonly #decoded = new WeakMap<Uint8Array, HostDelta>();
  #node: MeshNode | undefined;
  #handOn: HandOn | undefined;

  constructor(cluster: string, events: GossipEvents) {
    this.#topic = gossipTopic(cluster);
    this.#events = events;
  }

  /** After the node started. */
  start(node: MeshNode): void {
    this.#node = node;
    this.#handOn = new HandOn(node);
    const { pubsub } = node.services;
    pubsub.addEventListener("gossipsub:message", (event) => this.#receive(event.detail));
    pubsub.subscribe(this.#topic);
  }

  stop(): void {
    this.#node = undefined;
    this.#handOn?.stop();
  }

  publish(message: GossipMessage): void {
    const bytes = encodeMessage(message);
    this.#events.count("gossip-published-bytes", bytes.length);
    this.#node?.services.pubsub.publish(this.#topic, bytes).then(
      ({ recipients }) => {
        if (recipients.length === 0) this.#events.count("gossip-published-to-nobody");
      },
      // Gossip is best effort: anti-entropy repairs what it does not carry.
      () => this.#events.count("gossip-publish-failed"),
    );
  }

  /** Given to gossipsub as the topic's validator. */
  validate(peer: PeerId, message: PubsubMessage): TopicValidatorResult {
    // ignore: a peer of no accepted hello; it may be accepted a moment later.
    if (!this.#events.isMember(ownerId(peer.toString()))) {
      return this.#refuse("refused-gossip-stranger", TopicValidatorResult.Ignore);
    }
    // ignore: another release's message, or a broken one; who handed it on need not be who wrote it.
    const decoded = decodeMessage(message.data);
    if (!decoded.ok || decoded.value.kind !== "gossip") {
      return this.#refuse("refused-gossip-bytes", TopicValidatorResult.Ignore);
    }
    // reject: members relay, they do not speak for each other.
    const { delta } = decoded.value;
    if (!this.#events.isSigned(delta)) {
      return this.#refuse("refused-gossip-signature", TopicValidatorResult.Reject);
    }
    this.#decoded.set(message.data, delta);
    return TopicValidatorResult.Accept;
  }

  #refuse(counter: GossipCounter, result: TopicValidatorResult): TopicValidatorResult {
    this.#events.count(counter);
    return result;
  }

  #receive(message: GossipsubMessage): void {
    const { msg, propagationSource } = message;
    const delta = this.#decoded.get(msg.data);
    if (delta === undefined || this.#node === undefined) return;
    const from = ownerId(propagationSource.toString());
    this.#events.count("gossip-received");
    this.#events.onGossip(from, delta);
    const isFromOwner = from === delta.owner;
    const delayMs = isFromOwner ? handOnDelayMs(this.#events.isFull(), Math.random) : 0;
    if (delayMs !== undefined) this.#handOn?.after(delayMs, message);
  }
}
