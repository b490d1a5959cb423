// Libp2pOverlay: the real gossipsub as io/libp2p.ts configures it, one node a member, over loopback.

import { once } from "node:events";
import { type GossipsubMessage, TopicValidatorResult } from "@chainsafe/libp2p-gossipsub";
import { generateKeyPair } from "@libp2p/crypto/keys";
import type { PeerId } from "@libp2p/interface";
import { HandOn } from "../io/hand-on.ts";
import { createNode, type MeshNode } from "../io/libp2p.ts";
import type { OverlayCluster, Received } from "./overlay-compliance.ts";

const TOPIC = "/grapevine/test/gossip/1";

/** The router has it, its published type does not. */
interface Router {
  getMeshPeers(topic: string): string[];
}

interface Member {
  readonly node: MeshNode;
  readonly received: Received[];
}

export class Libp2pOverlay implements OverlayCluster {
  readonly #members: Member[] = [];
  readonly #indices = new Map<string, number>();
  /** Something happened: whoever waits looks again. */
  readonly #changes = new EventTarget();

  async join(): Promise<number> {
    const node = await createNode({
      privateKey: await generateKeyPair("Ed25519"),
      listen: ["/ip4/127.0.0.1/tcp/0"],
      topic: TOPIC,
      validate: () => TopicValidatorResult.Accept,
    });
    await node.start();
    const member = { node, received: [] as Received[] };
    const { pubsub } = node.services;
    const handOn = new HandOn(node);
    pubsub.addEventListener("gossipsub:message", ({ detail }) => {
      handOn.after(0, detail);
      this.#receive(member, detail);
    });
    for (const type of ["subscription-change", "gossipsub:graft", "gossipsub:prune"] as const) {
      pubsub.addEventListener(type, () => this.#changed());
    }
    pubsub.subscribe(TOPIC);
    this.#indices.set(node.peerId.toString(), this.#members.length);
    this.#members.push(member);
    return this.#members.length - 1;
  }

  async dial(from: number, to: number): Promise<void> {
    const [left, right] = [this.#node(from), this.#node(to)];
    await left.dial(right.getMultiaddrs());
    await this.until(() => knows(left, right) && knows(right, left));
  }

  async publish(from: number, text: string): Promise<readonly number[]> {
    const { recipients } = await this.#node(from).services.pubsub.publish(
      TOPIC,
      new TextEncoder().encode(text),
    );
    return this.#indicesOf(recipients.map((peer) => peer.toString()));
  }

  received(member: number): readonly Received[] {
    return this.#members[member]?.received ?? [];
  }

  mesh(member: number): readonly number[] {
    const router = this.#node(member).services.pubsub as Partial<Router>;
    return this.#indicesOf(router.getMeshPeers?.(TOPIC) ?? []);
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await once(this.#changes, "change");
  }

  async heartbeats(count: number): Promise<void> {
    for (let done = 0; done < count; done += 1) {
      await Promise.all(this.#members.map(({ node }) => once(node.services.pubsub, "gossipsub:heartbeat")));
    }
  }

  async dispose(): Promise<void> {
    await Promise.all(this.#members.map(({ node }) => node.stop()));
  }

  #node(member: number): MeshNode {
    const found = this.#members[member];
    if (found === undefined) throw new Error(`bug: no member ${member}`);
    return found.node;
  }

  #receive({ received }: Member, { msg, propagationSource }: GossipsubMessage): void {
    const from = this.#indices.get(propagationSource.toString()) ?? -1;
    received.push({ text: new TextDecoder().decode(msg.data), from });
    this.#changed();
  }

  #changed(): void {
    // After the router has done what it tells: grafts are told before the mesh has them.
    setImmediate(() => this.#changes.dispatchEvent(new Event("change")));
  }

  #indicesOf(peers: readonly string[]): readonly number[] {
    return peers.map((peer) => this.#indices.get(peer) ?? -1).sort((left, right) => left - right);
  }
}

function knows(node: MeshNode, { peerId }: { readonly peerId: PeerId }): boolean {
  return node.services.pubsub.getSubscribers(TOPIC).some((peer) => peer.equals(peerId));
}
