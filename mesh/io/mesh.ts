// The libp2p mesh: puts the parts together. Events go into the replica as inputs, its effects go out; nothing about the
// shared truth is decided here.

import type { Logger } from "pino";
import { encodeMessage } from "../core/codec.ts";
import type { ConvergenceView } from "../core/convergence.ts";
import type { ReplicaInput } from "../core/effect.ts";
import { forgottenIn } from "../core/forget-entry.ts";
import { isSigned } from "../core/head.ts";
import type { MemberName, OwnerId } from "../core/ids.ts";
import { MEMBER_KEY } from "../core/member.ts";
import type { Message } from "../core/message.ts";
import { Replica } from "../core/replica.ts";
import type { Store } from "../core/store.ts";
import type { Version } from "../core/version.ts";
import { CONNECTIONS_MAX, LAG_KEPT_MS, LAG_RECENT_MS, LEAVE_MS } from "../limits.ts";
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
import { Arrivals } from "./arrivals.ts";
import { ChangeFeed } from "./change-feed.ts";
import { Counters } from "./counters.ts";
import { NOT_STARTED } from "./dial.ts";
import type { ForgetFile, KeptWord } from "./forget-file.ts";
import { Forgets } from "./forgets.ts";
import { Gossip, gossipTopic } from "./gossip.ts";
import { serveHearing } from "./hearing.ts";
import { type Identity, newStartId, persistIncarnation } from "./identity.ts";
import { Inbox } from "./inbox.ts";
import { serveInspection } from "./inspection-service.ts";
import { Learning } from "./learning.ts";
import { addressesOf, type NodeOptions } from "./libp2p.ts";
import { LivenessLoop } from "./liveness-loop.ts";
import { MemberBook } from "./member-book.ts";
import type { MeshDeps, MeshOptions, RunningMesh } from "./mesh-options.ts";
import { Peers } from "./peers.ts";
import { Questions } from "./questions.ts";
import { ReplicaLoop } from "./replica-loop.ts";
import type { Snapshot } from "./snapshot.ts";
import { StoreInspection } from "./store-inspection.ts";
import { assertTell, Tells } from "./tells.ts";
import { describeTwin } from "./twin.ts";
import { Wire } from "./wire.ts";

export interface MeshParts extends Required<Pick<MeshDeps, "crypto" | "logger">> {
  readonly identity: Identity;
  readonly snapshot: Snapshot;
  readonly forgets: { readonly file: ForgetFile; readonly kept: readonly KeptWord[] };
}

export class Libp2pMesh implements RunningMesh {
  readonly self: Mesh["self"];
  readonly store: Store;
  readonly inspection: StoreInspection;
  readonly crypto: Mesh["crypto"];
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
    () => this.#counters.count("pulls-dropped"),
  );
  readonly #counters = new Counters();
  readonly #changes = new ChangeFeed();
  readonly #arrivals = new Arrivals(() => performance.now());
  readonly #tells = new Tells();
  readonly #learning: Learning;
  readonly #members: MemberBook;
  readonly #forgets: Forgets;
  readonly #liveness: LivenessLoop;
  readonly #applied: Applied;
  // Set in start, which is awaited before anybody gets the mesh.
  #wire: Wire | undefined;
  #stopping: Promise<void> | undefined;
  #leaving: Promise<void> | undefined;
  listenAddresses: readonly string[] = [];

  constructor(options: MeshOptions, { identity, crypto, snapshot, forgets, logger }: MeshParts) {
    this.#options = options;
    this.#identity = identity;
    this.#snapshot = snapshot;
    this.#logger = logger;
    this.crypto = crypto;
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
      onPerformed: () => this.#changes.settle(),
      onForgotten: (word) => this.#forgets.heard(word),
      onTwin: (isYounger, entries) => this.#foundTwin(isYounger, entries),
      count: this.#counters.count,
      logger,
    });
    const write = (key: string, value: Uint8Array | null) => this.write(key, value);
    this.#forgets = new Forgets(forgets.kept, { file: forgets.file, store: this.store, write, logger });
    this.#gossip = new Gossip(options.cluster, {
      isMember: (peer) => this.#wire?.links.isUp(peer) === true,
      isFull: () => this.store.statesInForce.size <= CONNECTIONS_MAX,
      isSigned: (delta) => isSigned(crypto, delta),
      onGossip: (from, delta) => this.#step({ kind: "gossip", from, delta }),
      count: this.#counters.count,
    });
    this.#peers = new Peers(identity.owner, {
      dial: async (addresses, owner) => (await this.#wire?.dial(addresses, owner)) ?? NOT_STARTED,
      isConnected: (owner) => this.#wire?.links.isUp(owner) === true,
      isComing: (owner) => this.#wire?.links.isComing(owner) === true,
      lagMs: () => this.#liveness.lagMs(LAG_RECENT_MS),
      onFailed: (owner, isRefused) => this.#liveness.dialFailed(owner, isRefused),
      random: Math.random,
      logger,
    });
    this.#liveness = this.#createLiveness();
    const { isOutdone } = this.#replica;
    const announce = (): void => this.#announce();
    this.#learning = new Learning({ isForgetful: identity.isForgetful, isOutdone, announce });
    this.#members = new MemberBook({
      self: this.self,
      store: this.store,
      isConnected: (owner) => this.#wire?.links.isUp(owner) === true,
      livenessOf: (owner) => this.#liveness.judgement(owner),
      write,
      logger,
    });
    this.inspection = new StoreInspection({
      store: this.store,
      arrivals: this.#arrivals,
      lagMs: () => this.#liveness.lagMs(LAG_KEPT_MS),
      describe: () => [this.describe(), this.#liveness.describe()],
    });
    const nowMs = (): number => performance.now();
    const { count } = this.#counters;
    this.#applied = new Applied({ mesh: this, nowMs, random: Math.random, count });
  }

  async start(): Promise<void> {
    const { cluster, listen, advertise } = this.#options;
    for (const word of this.#forgets.words) this.#step({ kind: "forget", word });
    this.#step({ kind: "restore", deltas: this.#snapshot.takeStates() });
    this.#snapshot.begin(this.store);
    const wire = await this.#createWire(listen, cluster);
    this.#wire = wire;
    serveInspection(this);
    serveHearing(this);
    await wire.start();
    this.#gossip.start(wire.node);
    this.listenAddresses = addressesOf(wire.node);
    this.#step({ kind: "begin" });
    this.#liveness.begin();
    this.#forgets.repeat();
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
        doubt: (peer) => this.#wire?.links.doubt(peer),
        onJudged: () => this.#members.tell(),
        count: this.#counters.count,
        logger: this.#logger,
      },
    );
  }

  #createWire(listen: readonly string[], cluster: string): Promise<Wire> {
    const inbox = this.#createInbox();
    const { name, role } = this.#options;
    const { owner, privateKey, start } = this.#identity;
    const hello = () => ({ kind: "hello", cluster, name, role, incarnation: start.incarnation }) as const;
    const validate: NodeOptions["validate"] = (peer, message) => this.#gossip.validate(peer, message);
    const onCopy = () => this.#counters.count("gossip-copies");
    return Wire.create(
      { cluster, self: owner, hello, privateKey, listen, topic: gossipTopic(cluster), validate, onCopy },
      {
        events: {
          onUp: (peer) => this.#linkChanged({ kind: "peer-connected", peer }),
          onDown: (peer) => this.#linkChanged({ kind: "peer-disconnected", peer }),
          onFrame: (peer, bytes) => inbox.frame(peer, bytes),
          onOverflow: (peer) => this.#step({ kind: "peer-overflowed", peer }),
        },
        count: this.#counters.count,
        logger: this.#logger,
      },
    );
  }

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
    this.#learning.announce();
  }

  #announce(): void {
    this.#step({ kind: "announce" });
    this.#applied.convergence.begin();
  }

  onChange(listener: (change: EntryChange) => void): () => void {
    return this.#changes.onChange(listener);
  }

  onSettled(listener: () => void): () => void {
    return this.#changes.onSettled(listener);
  }

  onMembers(listener: () => void): () => void {
    return this.#members.onMembers(listener);
  }

  members(): readonly MemberView[] {
    return this.#members.view();
  }

  named(name: MemberName): readonly MemberView[] {
    return this.#members.named(name);
  }

  forget(owner: OwnerId): Promise<Version | undefined> {
    if (owner === this.self.owner) throw new Error("bug: a member forgets itself");
    return this.#forgets.say(owner);
  }

  forgotten(): ReturnType<Mesh["forgotten"]> {
    return forgottenIn(this.store);
  }

  call(
    target: OwnerId,
    service: string,
    request: Uint8Array,
    signal: AbortSignal,
  ): AsyncIterable<Uint8Array> {
    if (this.#wire === undefined) throw new Error("mesh: call before start");
    return this.#wire.calls.call({ target, service, request, signal });
  }

  handle(service: string, handler: CallHandler): void {
    this.#wire?.calls.handle(service, handler);
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
    this.#learning.stop();
    this.#applied.endWaits();
    await this.#sayGoodbye();
    const written = this.#loop.stop();
    this.#applied.stop();
    this.#changes.clear();
    this.#members.clear();
    await Promise.all([written, this.#leave(), this.#snapshot.stop(), this.#forgets.stop()]);
  }

  /** Those that are connected need not look for us. */
  async #sayGoodbye(): Promise<void> {
    if (this.#wire?.node.status !== "started" || this.#leaving !== undefined) return;
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
    this.#gossip.stop();
    this.#questions.stop();
    await this.#wire?.stop();
  }

  metrics(): Record<string, number> {
    return Object.fromEntries([...this.#counters.entries(), ...this.#snapshot.counters()].sort());
  }

  convergence(): ConvergenceView {
    return this.#applied.convergence.view();
  }

  describe(): string {
    return `${this.self.name} ${this.#replica.describe()}`;
  }

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
      count: this.#counters.count,
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

  #sendMessage(to: OwnerId, message: Message): boolean {
    return this.#wire?.links.send(to, encodeMessage(message)) === true;
  }

  #changed(change: EntryChange): void {
    this.#arrivals.note(change);
    this.#changes.tell(change);
    this.#liveness.changed(change);
    if (change.key !== MEMBER_KEY) return;
    if (change.value !== null) this.#forgets.returned(change.owner, change.version);
    // Of those on our disk nobody is dialed before we listen.
    if (change.path === "disk") return;
    this.#members.learn(this.#peers);
    this.#members.tell();
  }

  /** Of two processes with one key the younger leaves: its peers would take its answers for the other's. */
  #foundTwin(isYounger: boolean, entries: readonly Entry[]): void {
    this.#logger.error(...describeTwin(isYounger, entries));
    if (isYounger)
      this.#leave().catch((err: unknown) => this.#logger.error({ err }, "cannot leave the mesh"));
  }
}
