import { generateKeyPair } from "@libp2p/crypto/keys";
import { afterEach, expect, test } from "vitest";
import { type OwnerId, ownerId } from "../core/ids.ts";
import { deltaOf } from "../sim/replica-harness.ts";
import { until } from "../sim/until.ts";
import { Gossip, gossipTopic } from "./gossip.ts";
import { createNode, type MeshNode } from "./libp2p.ts";

const TOPIC = gossipTopic("test");

/** A node whose gossip believes every signature, and who it heard from. */
class Member {
  readonly heard: OwnerId[] = [];
  readonly #gossip: Gossip;
  readonly #listeners = new Set<() => void>();
  #node: MeshNode | undefined;

  constructor() {
    this.#gossip = new Gossip("test", {
      isMember: () => true,
      isFull: () => false,
      isSigned: () => true,
      onGossip: (from) => {
        this.heard.push(from);
        for (const listener of this.#listeners) listener();
      },
      count: () => undefined,
    });
  }

  get node(): MeshNode {
    if (this.#node === undefined) throw new Error("bug: not started");
    return this.#node;
  }
  get owner(): OwnerId {
    return ownerId(this.node.peerId.toString());
  }

  async start(): Promise<this> {
    this.#node = await createNode({
      privateKey: await generateKeyPair("Ed25519"),
      listen: ["/ip4/127.0.0.1/tcp/0"],
      topic: TOPIC,
      validate: (peer, message) => this.#gossip.validate(peer, message),
    });
    await this.#node.start();
    this.#gossip.start(this.#node);
    return this;
  }

  async dial(other: Member): Promise<void> {
    await this.node.dial(other.node.getMultiaddrs());
    await Promise.all([this.#untilKnown(other), other.#untilKnown(this)]);
  }

  publish(): void {
    this.#gossip.publish({ kind: "gossip", delta: deltaOf(this.owner) });
  }

  untilHeard(): Promise<void> {
    return until(
      () => this.heard.length > 0,
      (listener) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
    );
  }

  async stop(): Promise<void> {
    this.#gossip.stop();
    await this.#node?.stop();
  }

  #untilKnown(other: Member): Promise<void> {
    const { pubsub } = this.node.services;
    return until(
      () => pubsub.getSubscribers(TOPIC).some((peer) => peer.equals(other.node.peerId)),
      (listener) => {
        pubsub.addEventListener("subscription-change", listener);
        return () => pubsub.removeEventListener("subscription-change", listener);
      },
    );
  }
}

let members: readonly Member[] = [];

afterEach(async () => {
  await Promise.all(members.map((member) => member.stop()));
});

test("what comes from its owner is handed on to who has no link to it, and so from there", async () => {
  members = await Promise.all(Array.from({ length: 4 }, () => new Member().start()));
  const [owner, first, second, last] = members as [Member, Member, Member, Member];
  await Promise.all([owner.dial(first), first.dial(second), second.dial(last)]);
  owner.publish();
  await last.untilHeard();
  expect(members.map(({ heard }) => heard)).toEqual([[], [owner.owner], [first.owner], [second.owner]]);
});
