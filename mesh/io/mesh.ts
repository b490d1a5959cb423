// The libp2p mesh: puts the parts together. Events go into the replica as inputs, its effects go out; nothing about the
// shared truth is decided here.

import type { Connection } from "@libp2p/interface";
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import type { Logger } from "pino";
import { decodeMessage, encodeMessage } from "../core/codec.ts";
import type { ReplicaInput } from "../core/effect.ts";
import { isName, type MemberName, type OwnerId, ownerId } from "../core/ids.ts";
import { encodeMember, MEMBER_ADDRESSES_MAX, MEMBER_KEY } from "../core/member.ts";
import type { Message } from "../core/message.ts";
import { Replica } from "../core/replica.ts";
import type { Store } from "../core/store.ts";
import type { Version } from "../core/version.ts";
import {
  CALL_REQUEST_BYTES_MAX,
  CLUSTER_ID_CHARS_MAX,
  DIAL_TIMEOUT_MS,
  FRAME_BYTES_MAX,
  SERVICE_NAME_CHARS_MAX,
} from "../limits.ts";
import type { CallHandler, EntryChange, MemberRole, MemberView, Mesh, TellHandler } from "../mesh.ts";
import { Calls } from "./calls.ts";
import { Gossip, gossipTopic } from "./gossip.ts";
import { type Identity, newStartId, openIdentity, persistIncarnation } from "./identity.ts";
import { createNode, type MeshNode } from "./libp2p.ts";
import { Links } from "./links.ts";
import { viewMembers } from "./members.ts";
import { type DialOutcome, Peers } from "./peers.ts";
import { ReplicaLoop } from "./replica-loop.ts";
import { messageOf } from "./run-handler.ts";

export interface MeshOptions {
  /** Members of one cluster meet; all others are refused. The peer id of the cluster's root key. */
  readonly cluster: string;
  readonly name: MemberName;
  readonly role: MemberRole;
  /** Holds our key and incarnation. One member each; losing it makes another member of us. */
  readonly stateDir: string;
  /** Multiaddrs, `/ip4/0.0.0.0/tcp/7946`; port 0: any free one. */
  readonly listen: readonly string[];
  /** Multiaddrs at which others reach us; empty: what we listen on. */
  readonly advertise: readonly string[];
  /** Multiaddrs without a peer id of members to meet first. One that lives is enough; ourselves among them does no harm. */
  readonly seeds: readonly string[];
}

export interface MeshDeps {
  readonly logger: Logger;
}

export interface RunningMesh extends Mesh {
  /** Multiaddrs without a peer id, with the real port. */
  readonly listenAddresses: readonly string[];
  /** Counters since the start, by name. */
  metrics(): Record<string, number>;
  /** One line for logs and dumps. */
  describe(): string;
}

/** It becomes part of protocol ids and of the topic: nothing that splits them. */
const CLUSTER_ID = new RegExp(`^[A-Za-z0-9-]{1,${CLUSTER_ID_CHARS_MAX}}$`);

/** Opens identity, sockets and the loop. When it resolves we listen; seeds are still being dialed. */
export async function startMesh(options: MeshOptions, deps: MeshDeps): Promise<RunningMesh> {
  const { cluster, name } = options;
  if (!CLUSTER_ID.test(cluster)) throw new Error(`mesh: bad cluster id ${JSON.stringify(cluster)}`);
  if (!isName(name)) throw new Error(`mesh: bad member name ${JSON.stringify(name)}`);
  const identity = await openIdentity(options.stateDir, Date.now());
  const mesh = new Libp2pMesh(options, identity, deps);
  try {
    await mesh.start();
  } catch (error) {
    await mesh.stop();
    throw error;
  }
  return mesh;
}

class Libp2pMesh implements RunningMesh {
  readonly self: Mesh["self"];
  readonly store: Store;
  readonly #options: MeshOptions;
  readonly #identity: Identity;
  readonly #logger: Logger;
  readonly #replica: Replica;
  readonly #loop: ReplicaLoop;
  readonly #gossip: Gossip;
  readonly #peers: Peers;
  readonly #counters = new Map<string, number>();
  readonly #changeListeners = new Set<(change: EntryChange) => void>();
  readonly #memberListeners = new Set<() => void>();
  readonly #tellHandlers = new Map<string, TellHandler>();
  /** Owners that another of their name hides: each is logged once. */
  readonly #conflicts = new Set<string>();
  // Set in start, which is awaited before anybody gets the mesh.
  #node: MeshNode | undefined;
  #links: Links | undefined;
  #calls: Calls | undefined;
  #stopping: Promise<void> | undefined;
  listenAddresses: readonly string[] = [];

  constructor(options: MeshOptions, identity: Identity, { logger }: MeshDeps) {
    this.#options = options;
    this.#identity = identity;
    this.#logger = logger;
    this.self = { owner: identity.owner, name: options.name, role: options.role };
    this.#replica = new Replica({ self: identity.owner, start: identity.start }, { random: Math.random });
    this.store = this.#replica.store;
    this.#loop = new ReplicaLoop(this.#replica, {
      nowMs: () => performance.now(),
      newStartId,
      publish: (message) => this.#gossip.publish(message),
      send: (to, message) => void this.#sendMessage(to, message),
      persist: (incarnation) => persistIncarnation(options.stateDir, incarnation),
      onChange: (change) => this.#changed(change),
      count: (counter, by) => this.#count(counter, by),
      logger,
    });
    this.#gossip = new Gossip(options.cluster, {
      isMember: (peer) => this.#links?.isUp(peer) === true,
      onGossip: (from, delta) => this.#step({ kind: "gossip", from, delta }),
      count: (counter) => this.#count(counter),
    });
    this.#peers = new Peers(identity.owner, {
      dial: (addresses, owner) => this.#dial(addresses, owner),
      isConnected: (owner) => this.#links?.isUp(owner) === true,
      random: Math.random,
      logger,
    });
  }

  async start(): Promise<void> {
    const { cluster, listen } = this.#options;
    const node = await createNode({
      privateKey: this.#identity.privateKey,
      listen,
      topic: gossipTopic(cluster),
      validate: (peer, message) => this.#gossip.validate(peer, message),
    });
    this.#node = node;
    this.#links = this.#createLinks(node);
    this.#calls = new Calls(cluster, {
      node,
      connectionTo: (target) => this.#links?.connectionTo(target),
      count: (counter) => this.#count(counter),
    });
    await this.#links.start();
    await this.#calls.start();
    await node.start();
    this.#gossip.start(node);
    this.listenAddresses = node.getMultiaddrs().map(withoutPeerId);
    this.#step({ kind: "begin" });
    this.#writeMember();
    this.#peers.addSeeds(this.#options.seeds);
    this.#logger.info({ owner: this.self.owner, listen: this.listenAddresses }, "mesh listens");
  }

  #createLinks(node: MeshNode): Links {
    const { cluster, name, role } = this.#options;
    const hello = () =>
      ({ kind: "hello", cluster, name, role, incarnation: this.#ownIncarnation() }) as const;
    return new Links(
      { cluster, hello },
      {
        node,
        logger: this.#logger,
        events: {
          onUp: (peer) => this.#linkChanged({ kind: "peer-connected", peer }),
          onDown: (peer) => this.#linkChanged({ kind: "peer-disconnected", peer }),
          onFrame: (peer, bytes) => this.#frame(peer, bytes),
          onOverflow: (peer) => this.#step({ kind: "peer-overflowed", peer }),
          count: (counter) => this.#count(counter),
        },
      },
    );
  }

  // --- Mesh

  write(key: string, value: Uint8Array | null): Version {
    this.#step({ kind: "write", key, value });
    const version = this.#replica.ownVersion(key);
    if (version === undefined) throw new Error("mesh: write after stop");
    return version;
  }

  announce(): void {
    this.#step({ kind: "announce" });
  }

  onChange(listener: (change: EntryChange) => void): () => void {
    this.#changeListeners.add(listener);
    return () => this.#changeListeners.delete(listener);
  }

  onMembers(listener: () => void): () => void {
    this.#memberListeners.add(listener);
    return () => this.#memberListeners.delete(listener);
  }

  members(): readonly MemberView[] {
    return this.#viewMembers().shown;
  }

  call(
    target: OwnerId,
    service: string,
    request: Uint8Array,
    signal: AbortSignal,
  ): AsyncIterable<Uint8Array> {
    if (request.length > CALL_REQUEST_BYTES_MAX) throw new Error("bug: call request over its bound");
    const calls = this.#calls;
    if (calls === undefined) throw new Error("mesh: call before start");
    const call = { target, service, request, signal };
    return target === this.self.owner ? calls.callSelf(call) : calls.call(call);
  }

  handle(service: string, handler: CallHandler): void {
    assertServiceName(service);
    this.#calls?.handle(service, handler);
  }

  tell(target: OwnerId, topic: string, message: Uint8Array): boolean {
    assertServiceName(topic);
    if (message.length > FRAME_BYTES_MAX - TELL_HEAD_BYTES) throw new Error("bug: message over its bound");
    if (target !== this.self.owner) return this.#sendMessage(target, { kind: "tell", topic, body: message });
    const copy = new Uint8Array(message);
    queueMicrotask(() => this.#tellHandlers.get(topic)?.(copy, target));
    return true;
  }

  onTell(topic: string, handler: TellHandler): void {
    assertServiceName(topic);
    this.#tellHandlers.set(topic, handler);
  }

  async sync(target: OwnerId, signal: AbortSignal): Promise<void> {
    if (target !== this.self.owner) await this.#loop.sync(target, signal);
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#peers.stop();
    this.#calls?.stop();
    this.#gossip.stop();
    const written = this.#loop.stop();
    this.#links?.stop();
    this.#changeListeners.clear();
    this.#memberListeners.clear();
    await Promise.all([written, this.#node?.stop()]);
  }

  metrics(): Record<string, number> {
    return Object.fromEntries([...this.#counters].sort());
  }

  describe(): string {
    return `${this.self.name} ${this.#replica.describe()}`;
  }

  // --- inputs

  #step(input: ReplicaInput): void {
    this.#loop.step(input);
  }

  #frame(peer: OwnerId, bytes: Uint8Array): void {
    const decoded = decodeMessage(bytes);
    if (!decoded.ok) {
      this.#count("refused-frame-bytes");
      this.#logger.debug({ peer, reason: decoded.error }, "refused a frame");
      return;
    }
    this.#handle(peer, decoded.value);
  }

  #handle(from: OwnerId, message: Message): void {
    switch (message.kind) {
      case "digest":
      case "pull":
      case "delta":
        this.#step({ kind: "message", from, message });
        break;
      case "gossip":
        // Only over gossipsub, where its owner signs it.
        this.#count("refused-frame-gossip");
        break;
      case "tell":
        this.#tellHandlers.get(message.topic)?.(message.body, from);
        break;
      case "ping":
        this.#sendMessage(from, { kind: "pong" });
        break;
      case "pong":
      case "hello":
        break;
      default:
        message satisfies never;
    }
  }

  #linkChanged(input: ReplicaInput & { readonly peer: OwnerId }): void {
    this.#logger.debug({ peer: input.peer, to: input.kind }, "link changed");
    this.#step(input);
    if (input.kind === "peer-disconnected") this.#peers.lost(input.peer);
    this.#tellMembers();
  }

  async #dial(addresses: readonly string[], owner: OwnerId | undefined): Promise<DialOutcome> {
    const [node, links] = [this.#node, this.#links];
    if (node === undefined || links === undefined) return { kind: "failed" };
    let connection: Connection;
    try {
      const targets = addresses.map((address) => withPeerId(address, owner));
      // Jittered down to half, so that two that dial each other through a black hole do not both wait when it ends.
      const timeoutMs = Math.round(DIAL_TIMEOUT_MS * (0.5 + 0.5 * Math.random()));
      connection = await node.dial(targets, { signal: AbortSignal.timeout(timeoutMs) });
    } catch (error) {
      const isSelf = error instanceof Error && SELF_DIAL.test(error.message);
      this.#count("dials-failed");
      this.#logger.debug({ addresses, reason: messageOf(error) }, "dial failed");
      return { kind: isSelf ? "self" : "failed" };
    }
    const admission = await links.admission(connection);
    if (admission !== "accepted") return { kind: admission };
    return { kind: "connected", owner: ownerId(connection.remotePeer.toString()) };
  }

  // --- effects

  #sendMessage(to: OwnerId, message: Message): boolean {
    return this.#links?.send(to, encodeMessage(message)) === true;
  }

  #changed(change: EntryChange): void {
    for (const listener of this.#changeListeners) listener(change);
    if (change.key !== MEMBER_KEY) return;
    this.#learnMembers();
    this.#tellMembers();
  }

  #learnMembers(): void {
    const { shown, superseded } = this.#viewMembers();
    const others = shown.filter((member) => !member.self);
    this.#peers.setMembers(new Map(others.map((member) => [member.owner, member.addresses])));
    for (const member of superseded) {
      if (this.#conflicts.has(member.owner)) continue;
      this.#conflicts.add(member.owner);
      const { name, owner, incarnation } = member;
      this.#logger.warn({ name, owner, incarnation }, "two members have one name, the older is not shown");
    }
  }

  #tellMembers(): void {
    for (const listener of this.#memberListeners) listener();
  }

  #viewMembers(): ReturnType<typeof viewMembers> {
    return viewMembers(this.store, this.self.owner, (owner) => this.#links?.isUp(owner) === true);
  }

  #writeMember(): void {
    const { name, role, advertise } = this.#options;
    const all = advertise.length > 0 ? advertise : this.listenAddresses;
    const addresses = all.slice(0, MEMBER_ADDRESSES_MAX);
    this.write(MEMBER_KEY, encodeMember({ name, role, addresses, startedAtMs: Date.now() }));
  }

  #ownIncarnation(): number {
    return this.store.head(this.self.owner)?.incarnation ?? this.#identity.start.incarnation;
  }

  #count(counter: string, by = 1): void {
    this.#counters.set(counter, (this.#counters.get(counter) ?? 0) + by);
  }
}

/** Topic, kind and lengths around the body of a tell. */
const TELL_HEAD_BYTES = 256;
/** libp2p tells it by the text alone. */
const SELF_DIAL = /dial(?:ed)? self/i;

function assertServiceName(name: string): void {
  const isGood = name.length > 0 && name.length <= SERVICE_NAME_CHARS_MAX;
  if (!isGood) throw new Error(`bug: bad service or topic name ${JSON.stringify(name)}`);
}

function withPeerId(address: string, owner: OwnerId | undefined): Multiaddr {
  return multiaddr(owner === undefined ? address : `${address}/p2p/${owner}`);
}

function withoutPeerId(address: Multiaddr): string {
  return address.toString().replace(/\/p2p\/[^/]+$/, "");
}
