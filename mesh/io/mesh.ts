// The libp2p mesh: puts the parts together. Events go into the replica as inputs, its effects go out; nothing about the
// shared truth is decided here.

import type { Logger } from "pino";
import { encodeMessage } from "../core/codec.ts";
import type { ConvergenceView } from "../core/convergence.ts";
import type { ReplicaInput } from "../core/effect.ts";
import { isSigned } from "../core/head.ts";
import type { OwnerId } from "../core/ids.ts";
import { MEMBER_KEY } from "../core/member.ts";
import type { Message } from "../core/message.ts";
import { Replica } from "../core/replica.ts";
import type { Store } from "../core/store.ts";
import type { Version } from "../core/version.ts";
import { LEARN_MS, LEAVE_MS } from "../limits.ts";
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
import { Inbox } from "./inbox.ts";
import { addressesOf, createNode, type MeshNode } from "./libp2p.ts";
import { Links } from "./links.ts";
import { LivenessLoop } from "./liveness-loop.ts";
import { MemberBook } from "./member-book.ts";
import { assertMeshOptions, type MeshDeps, type MeshOptions, type RunningMesh } from "./mesh-options.ts";
import { type DialOutcome, Peers } from "./peers.ts";
import { Questions } from "./questions.ts";
import { ReplicaLoop } from "./replica-loop.ts";
import { Snapshot } from "./snapshot.ts";
import { assertServiceName, assertTell, Tells } from "./tells.ts";
import { describeTwin } from "./twin.ts";

/** Opens identity, sockets and the loop. When it resolves we listen; seeds are still being dialed. */
export async function startMesh(options: MeshOptions, deps: MeshDeps): Promise<RunningMesh> {
  assertMeshOptions(options);
  const { logger, nowMs = Date.now } = deps;
  const identity = await openIdentity(options.stateDir, nowMs());
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
  readonly #tells = new Tells();
  readonly #members: MemberBook;
  readonly #liveness: LivenessLoop;
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
      count: (counter, by) => this.#count(counter, by),
    });
    this.#peers = new Peers(identity.owner, {
      dial: (addresses, owner) => this.#dial(addresses, owner),
      isConnected: (owner) => this.#links?.isUp(owner) === true,
      onFailed: (owner, isRefused) => this.#liveness.dialFailed(owner, isRefused),
      random: Math.random,
      logger,
    });
    this.#liveness = this.#createLiveness();
    this.#members = new MemberBook({
      self: this.self,
      store: this.store,
      isConnected: (owner) => this.#links?.isUp(owner) === true,
      livenessOf: (owner) => this.#liveness.judgement(owner),
      write: (key, value) => this.write(key, value),
      logger,
    });
    const count = (counter: string, by?: number) => this.#count(counter, by);
    const nowMs = (): number => performance.now();
    this.#applied = new Applied({ mesh: this, nowMs, random: Math.random, count });
  }

  async start(): Promise<void> {
    const { cluster, listen, advertise } = this.#options;
    this.#step({ kind: "restore", deltas: this.#snapshot.takeStates() });
    this.#snapshot.begin(this.store);
    const node = await createNode({
      privateKey: this.#identity.privateKey,
      listen,
      topic: gossipTopic(cluster),
      validate: (peer, message) => this.#gossip.validate(peer, message),
      onCopy: () => this.#count("gossip-copies"),
    });
    this.#node = node;
    this.#links = this.#createLinks(node);
    this.#calls = new Calls(cluster, {
      self: this.self.owner,
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
    this.#liveness.begin();
    this.#members.begin(advertise.length > 0 ? advertise : this.listenAddresses);
    this.#peers.addSeeds(this.#options.seeds);
    this.#members.learn(this.#peers);
    this.#logger.info({ owner: this.self.owner, listen: this.listenAddresses }, "mesh listens");
  }

  #createLiveness(): LivenessLoop {
    const { incarnation } = this.#identity.start;
    return new LivenessLoop(
      { self: this.self.owner, incarnation },
      {
        send: (to, message) => this.#sendMessage(to, message),
        write: (key, value) => this.#step({ kind: "write", key, value }),
        memberEntries: () => this.store.list(MEMBER_KEY).filter(({ key }) => key === MEMBER_KEY),
        writeRefutation: (refutation) => this.#members.object(refutation),
        doubt: (peer) => this.#links?.doubt(peer),
        onJudged: () => this.#members.tell(),
        count: (counter, by) => this.#count(counter, by),
        logger: this.#logger,
      },
    );
  }

  #createLinks(node: MeshNode): Links {
    const inbox = this.#createInbox();
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
          onFrame: (peer, bytes) => inbox.frame(peer, bytes),
          onOverflow: (peer) => this.#step({ kind: "peer-overflowed", peer }),
          count: (counter) => this.#count(counter),
        },
      },
    );
  }

  // --- Mesh

  write(key: string, value: Uint8Array | null): Version {
    const before = this.#replica.ownVersion(key);
    const atMs = performance.now();
    this.#step({ kind: "write", key, value });
    const version = this.#replica.ownVersion(key);
    if (version === undefined) throw new Error("mesh: write after stop");
    if (version !== before) this.#applied.convergence.wrote(key, version, atMs);
    return version;
  }

  whenApplied(version: Version, signal: AbortSignal): Promise<AppliedReport> {
    return this.#applied.whenApplied(version, signal);
  }

  beforeApplied(settle: () => void): void {
    this.#applied.answers.beforeApplied(settle);
  }

  announce(): void {
    const announce = (): void => {
      this.#step({ kind: "announce" });
      this.#applied.convergence.begin();
    };
    if (this.#identity.isForgetful) this.#learning ??= setTimeout(announce, LEARN_MS);
    else announce();
  }

  onChange(listener: (change: EntryChange) => void): () => void {
    this.#changeListeners.add(listener);
    return () => this.#changeListeners.delete(listener);
  }

  onMembers(listener: () => void): () => void {
    return this.#members.onMembers(listener);
  }

  members(): readonly MemberView[] {
    return this.#members.view();
  }

  call(
    target: OwnerId,
    service: string,
    request: Uint8Array,
    signal: AbortSignal,
  ): AsyncIterable<Uint8Array> {
    if (this.#calls === undefined) throw new Error("mesh: call before start");
    return this.#calls.call({ target, service, request, signal });
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
    this.#applied.endWaits();
    await this.#sayGoodbye();
    const written = this.#loop.stop();
    this.#applied.stop();
    this.#changeListeners.clear();
    this.#members.clear();
    await Promise.all([written, this.#leave(), this.#snapshot.stop()]);
  }

  /** Those that are connected need not look for us. */
  async #sayGoodbye(): Promise<void> {
    if (this.#node?.status !== "started" || this.#leaving !== undefined) return;
    if (this.members().every((member) => member.self || !member.connected)) return;
    await this.whenApplied(this.#members.leave(), AbortSignal.timeout(LEAVE_MS));
  }

  /** Nobody hears us any more; what we hold can still be read, and own writes are kept. */
  #leave(): Promise<void> {
    this.#leaving ??= this.#close();
    return this.#leaving;
  }

  async #close(): Promise<void> {
    this.#liveness.stop();
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

  convergence(): ConvergenceView {
    return this.#applied.convergence.view();
  }

  describe(): string {
    return `${this.self.name} ${this.#replica.describe()}`;
  }

  // --- inputs

  #step(input: ReplicaInput): void {
    this.#loop.step(input);
  }

  #createInbox(): Inbox {
    return new Inbox({
      onQuestion: (from, message) => this.#questions.add(from, message),
      onMessage: (from, message) => this.#step({ kind: "message", from, message }),
      onTell: (topic, body, from) => this.#tells.receive(topic, body, from),
      onLiveness: (from, message) => this.#liveness.message(from, message),
      onPing: (from) => this.#sendMessage(from, { kind: "pong" }),
      count: (counter) => this.#count(counter),
      logger: this.#logger,
    });
  }

  #linkChanged(input: ReplicaInput & { readonly peer: OwnerId }): void {
    this.#logger.debug({ peer: input.peer, to: input.kind }, "link changed");
    this.#step(input);
    this.#liveness.link(input.peer, input.kind === "peer-connected");
    if (input.kind === "peer-disconnected") {
      this.#questions.drop(input.peer);
      this.#peers.lost(input.peer);
    }
    this.#members.tell();
  }

  async #dial(addresses: readonly string[], owner: OwnerId | undefined): Promise<DialOutcome> {
    const [node, links] = [this.#node, this.#links];
    if (node === undefined || links === undefined) return { kind: "failed", isRefused: false };
    const deps = { node, links, logger: this.#logger, count: (counter: string) => this.#count(counter) };
    return dial(deps, addresses, owner);
  }

  // --- effects

  #sendMessage(to: OwnerId, message: Message): boolean {
    return this.#links?.send(to, encodeMessage(message)) === true;
  }

  #changed(change: EntryChange): void {
    for (const listener of this.#changeListeners) listener(change);
    this.#liveness.changed(change);
    // Of those on our disk nobody is dialed before we listen.
    if (change.key !== MEMBER_KEY || change.path === "disk") return;
    this.#members.learn(this.#peers);
    this.#members.tell();
  }

  /** Of two processes with one key the younger leaves: its peers would take its answers for the other's. */
  #foundTwin(isYounger: boolean, entries: readonly Entry[]): void {
    this.#logger.error(...describeTwin(isYounger, entries));
    if (isYounger)
      this.#leave().catch((err: unknown) => this.#logger.error({ err }, "cannot leave the mesh"));
  }

  #count(counter: string, by = 1): void {
    this.#counters.set(counter, (this.#counters.get(counter) ?? 0) + by);
  }
}
