// The libp2p mesh: puts the parts together. Events go into the replica as inputs, its effects go out; nothing about the
// shared truth is decided here.

import type { Logger } from "pino";
import { decodeMessage, encodeMessage } from "../core/codec.ts";
import type { ReplicaInput } from "../core/effect.ts";
import { isSigned } from "../core/head.ts";
import { isName, type OwnerId } from "../core/ids.ts";
import { encodeMember, MEMBER_ADDRESSES_MAX, MEMBER_KEY } from "../core/member.ts";
import type { Message } from "../core/message.ts";
import { Replica } from "../core/replica.ts";
import type { Store } from "../core/store.ts";
import type { Version } from "../core/version.ts";
import { CALL_REQUEST_BYTES_MAX, CLUSTER_ID_CHARS_MAX, LEARN_MS } from "../limits.ts";
import type {
  AppliedReport,
  CallHandler,
  Entry,
  EntryChange,
  MemberView,
  Mesh,
  TellHandler,
} from "../mesh.ts";
import { APP_PREFIX } from "../records/app.ts";
import { Applied } from "./applied.ts";
import { Calls } from "./calls.ts";
import { dial } from "./dial.ts";
import { Gossip, gossipTopic } from "./gossip.ts";
import { createHeadCrypto } from "./head-crypto.ts";
import { type Identity, newStartId, openIdentity, persistIncarnation } from "./identity.ts";
import { addressesOf, createNode, type MeshNode } from "./libp2p.ts";
import { Links } from "./links.ts";
import { HiddenMembers, viewMembers } from "./members.ts";
import type { MeshDeps, MeshOptions, RunningMesh } from "./mesh-options.ts";
import { type DialOutcome, Peers } from "./peers.ts";
import { Questions } from "./questions.ts";
import { ReplicaLoop } from "./replica-loop.ts";
import { Snapshot } from "./snapshot.ts";
import { assertServiceName, assertTell, Tells } from "./tells.ts";
import { describeTwin } from "./twin.ts";

/** It becomes part of protocol ids and of the topic: nothing that splits them. */
const CLUSTER_ID = new RegExp(`^[A-Za-z0-9-]{1,${CLUSTER_ID_CHARS_MAX}}$`);

/** Opens identity, sockets and the loop. When it resolves we listen; seeds are still being dialed. */
export async function startMesh(options: MeshOptions, deps: MeshDeps): Promise<RunningMesh> {
  const { cluster, name, stateDir } = options;
  if (!CLUSTER_ID.test(cluster)) throw new Error(`mesh: bad cluster id ${JSON.stringify(cluster)}`);
  if (!isName(name)) throw new Error(`mesh: bad member name ${JSON.stringify(name)}`);
  const { logger, nowMs = Date.now } = deps;
  const identity = await openIdentity(stateDir, nowMs());
  const { crypto = createHeadCrypto(identity.privateKey) } = deps;
  const snapshot = await Snapshot.open(options, { logger });
  const mesh = new Libp2pMesh(options, { identity, crypto, snapshot, logger });
  try {
    await mesh.start();
  } catch (error) {
    await mesh.stop();
    throw error;
  }
  return mesh;
}

interface Parts extends Required<Pick<MeshDeps, "crypto" | "logger">> {
  readonly identity: Identity;
  readonly snapshot: Snapshot;
}

class Libp2pMesh implements RunningMesh {
  readonly self: Mesh["self"];
  readonly store: Store;
  readonly #options: MeshOptions;
  readonly #identity: Identity;
  readonly #snapshot: Snapshot;
  readonly #logger: Logger;
  readonly #replica: Replica;
  readonly #loop: ReplicaLoop;
  readonly #gossip: Gossip;
  readonly #peers: Peers;
  readonly #questions = new Questions(
    (from, message) => this.#step({ kind: "message", from, message }),
    () => this.#count("pulls-dropped"),
  );
  readonly #counters = new Map<string, number>();
  readonly #changeListeners = new Set<(change: EntryChange) => void>();
  readonly #memberListeners = new Set<() => void>();
  readonly #tells = new Tells();
  readonly #hidden = new HiddenMembers();
  readonly #applied: Applied;
  // Set in start, which is awaited before anybody gets the mesh.
  #node: MeshNode | undefined;
  #links: Links | undefined;
  #calls: Calls | undefined;
  #stopping: Promise<void> | undefined;
  #leaving: Promise<void> | undefined;
  #learning: NodeJS.Timeout | undefined;
  listenAddresses: readonly string[] = [];

  constructor(options: MeshOptions, { identity, crypto, snapshot, logger }: Parts) {
    this.#options = options;
    this.#identity = identity;
    this.#snapshot = snapshot;
    this.#logger = logger;
    this.self = { owner: identity.owner, name: options.name, role: options.role };
    this.#replica = new Replica(
      { ...options.bounds, self: identity.owner, start: identity.start, controlPrefixes: [APP_PREFIX] },
      { ...crypto, random: Math.random },
    );
    this.store = this.#replica.store;
    this.#loop = new ReplicaLoop(this.#replica, {
      nowMs: () => performance.now(),
      newStartId,
      publish: (message) => this.#gossip.publish(message),
      send: (to, message) => void this.#sendMessage(to, message),
      persist: (incarnation) => persistIncarnation(options.stateDir, incarnation),
      onChange: (change) => this.#changed(change),
      onTwin: (isYounger, entries) => this.#foundTwin(isYounger, entries),
      count: (counter, by) => this.#count(counter, by),
      logger,
    });
    this.#gossip = new Gossip(options.cluster, {
      isMember: (peer) => this.#links?.isUp(peer) === true,
      isSigned: (delta) => isSigned(crypto, delta),
      onGossip: (from, delta) => this.#step({ kind: "gossip", from, delta }),
      count: (counter) => this.#count(counter),
    });
    this.#peers = new Peers(identity.owner, {
      dial: (addresses, owner) => this.#dial(addresses, owner),
      isConnected: (owner) => this.#links?.isUp(owner) === true,
      random: Math.random,
      logger,
    });
    const count = (counter: string, by?: number) => this.#count(counter, by);
    this.#applied = new Applied({ mesh: this, nowMs: () => performance.now(), count });
  }

  async start(): Promise<void> {
    const { cluster, listen } = this.#options;
    this.#step({ kind: "restore", deltas: this.#snapshot.takeStates() });
    this.#snapshot.begin(this.store);
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
    this.listenAddresses = addressesOf(node);
    this.#step({ kind: "begin" });
    this.#writeMember();
    this.#peers.addSeeds(this.#options.seeds);
    this.#learnMembers();
    this.#logger.info({ owner: this.self.owner, listen: this.listenAddresses }, "mesh listens");
  }

  #createLinks(node: MeshNode): Links {
    const { cluster, name, role } = this.#options;
    const hello = () =>
      ({ kind: "hello", cluster, name, role, incarnation: this.#identity.start.incarnation }) as const;
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

  whenApplied(version: Version, signal: AbortSignal): Promise<AppliedReport> {
    return this.#applied.whenApplied(version, signal);
  }

  beforeApplied(settle: () => void): void {
    this.#applied.answers.beforeApplied(settle);
  }

  announce(): void {
    const announce = (): void => this.#step({ kind: "announce" });
    if (this.#identity.isForgetful) this.#learning ??= setTimeout(announce, LEARN_MS);
    else announce();
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
    assertTell(topic, message);
    if (target !== this.self.owner) return this.#sendMessage(target, { kind: "tell", topic, body: message });
    this.#tells.toSelf(topic, message, target);
    return true;
  }

  onTell(topic: string, handler: TellHandler): void {
    this.#tells.on(topic, handler);
  }

  async sync(target: OwnerId, signal: AbortSignal): Promise<void> {
    if (target !== this.self.owner) await this.#loop.sync(target, signal);
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    clearTimeout(this.#learning);
    const written = this.#loop.stop();
    this.#applied.stop();
    this.#changeListeners.clear();
    this.#memberListeners.clear();
    await Promise.all([written, this.#leave(), this.#snapshot.stop()]);
  }

  /** Nobody hears us any more; what we hold can still be read, and own writes are kept. */
  #leave(): Promise<void> {
    this.#leaving ??= this.#close();
    return this.#leaving;
  }

  async #close(): Promise<void> {
    this.#peers.stop();
    this.#calls?.stop();
    this.#gossip.stop();
    this.#questions.stop();
    this.#links?.stop();
    await this.#node?.stop();
  }

  metrics(): Record<string, number> {
    return Object.fromEntries([...this.#counters, ...this.#snapshot.counters()].sort());
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
        this.#questions.add(from, message);
        break;
      case "summary":
      case "delta":
        this.#step({ kind: "message", from, message });
        break;
      case "gossip":
        // Only over gossipsub.
        this.#count("refused-frame-gossip");
        break;
      case "tell":
        this.#tells.receive(message.topic, message.body, from);
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
    if (input.kind === "peer-disconnected") {
      this.#questions.drop(input.peer);
      this.#peers.lost(input.peer);
    }
    this.#tellMembers();
  }

  async #dial(addresses: readonly string[], owner: OwnerId | undefined): Promise<DialOutcome> {
    const [node, links] = [this.#node, this.#links];
    if (node === undefined || links === undefined) return { kind: "failed" };
    const deps = { node, links, logger: this.#logger, count: (counter: string) => this.#count(counter) };
    return dial(deps, addresses, owner);
  }

  // --- effects

  #sendMessage(to: OwnerId, message: Message): boolean {
    return this.#links?.send(to, encodeMessage(message)) === true;
  }

  #changed(change: EntryChange): void {
    for (const listener of this.#changeListeners) listener(change);
    // Of those on our disk nobody is dialed before we listen.
    if (change.key !== MEMBER_KEY || change.path === "disk") return;
    this.#learnMembers();
    this.#tellMembers();
  }

  /** Of two processes with one key the younger leaves: its peers would take its answers for the other's. */
  #foundTwin(isYounger: boolean, entries: readonly Entry[]): void {
    this.#logger.error(...describeTwin(isYounger, entries));
    if (isYounger)
      this.#leave().catch((err: unknown) => this.#logger.error({ err }, "cannot leave the mesh"));
  }

  #learnMembers(): void {
    const { shown, superseded } = this.#viewMembers();
    const others = shown.filter((member) => !member.self);
    this.#peers.setMembers(new Map(others.map((member) => [member.owner, member.addresses])));
    this.#hidden.log(superseded, this.#logger);
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

  #count(counter: string, by = 1): void {
    this.#counters.set(counter, (this.#counters.get(counter) ?? 0) + by);
  }
}
