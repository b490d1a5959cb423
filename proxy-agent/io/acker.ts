// Acker: tells every voter where this proxy stands on each app: at once when that changed, whole when a voter connects or
// becomes one, and again and again, since a voter may have restarted and a message may be lost.

import {
  ACK_TOPIC,
  type Ack,
  type AppName,
  connectedVoters,
  encodeRecord,
  type Mesh,
  type OwnerId,
  type VoterDirectory,
} from "../../mesh/index.ts";
import { type AckState, isUnsettled } from "../core/ack-state.ts";
import type { AppRoute } from "../core/route-table.ts";
import { ACK_MESSAGE_BYTES_MAX, ACK_UNSETTLED_MS, ACKS_PER_MESSAGE_MAX } from "../limits.ts";
import { monotonicUnixMs } from "./clock.ts";
import type { Flights } from "./flights.ts";
import type { RouteFeed } from "./route-feed.ts";
import type { Verifier } from "./verifier.ts";

export interface AckerOptions {
  /** How often all is repeated while nothing is unsettled: `ACK_SETTLED_MS`, less in tests. */
  readonly settledMs: number;
}

export interface AckerDeps {
  readonly mesh: Mesh;
  readonly directory: Pick<VoterDirectory, "list" | "onAdopted">;
  readonly feed: RouteFeed;
  readonly acks: AckState;
  readonly flights: Flights;
  readonly verifier: Verifier;
}

export class Acker {
  readonly #settledMs: number;
  readonly #deps: AckerDeps;
  /** Voters that are connected, and the last answers told to all of them, encoded, to see what is new. */
  #connected: ReadonlySet<OwnerId> = new Set();
  readonly #told = new Map<AppName, string>();
  #immediate: NodeJS.Immediate | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** When the timer rings; infinity: it is not set. */
  #dueAtMs = Number.POSITIVE_INFINITY;
  #unsubscribes: readonly (() => void)[] = [];
  #isStopped = false;
  #sent = 0;

  constructor(options: AckerOptions, deps: AckerDeps) {
    this.#settledMs = options.settledMs;
    this.#deps = deps;
  }

  /** Messages that were queued for a voter, since the start. */
  get sent(): number {
    return this.#sent;
  }

  start(): void {
    const { mesh, directory } = this.#deps;
    const look = () => this.#lookForVoters();
    this.#unsubscribes = [mesh.onMembers(look), directory.onAdopted(look)];
    look();
    this.#schedule([]);
  }

  stop(): void {
    this.#isStopped = true;
    for (const unsubscribe of this.#unsubscribes) unsubscribe();
    clearImmediate(this.#immediate);
    clearTimeout(this.#timer);
  }

  /** Something that an answer rests on changed. What changes within one turn of the loop is one message. */
  changed(): void {
    if (this.#isStopped) return;
    this.#immediate ??= setImmediate(() => {
      this.#immediate = undefined;
      this.#tellChanges();
    });
  }

  /** Where we stand on every app, as of now. */
  answers(): readonly Ack[] {
    return [...this.#deps.feed.table.apps.values()].map((route) => this.#answer(route));
  }

  #answer(route: AppRoute): Ack {
    const { acks, flights, verifier } = this.#deps;
    acks.settle(route, { reached: (endpoint) => verifier.reached(endpoint), nowMs: monotonicUnixMs() });
    return acks.ack(route.app, flights.report(route.app));
  }

  #tellChanges(): void {
    const changed = this.answers().filter((ack) => {
      const text = JSON.stringify(ack);
      if (this.#told.get(ack.app) === text) return false;
      this.#told.set(ack.app, text);
      return true;
    });
    if (changed.length === 0) return;
    this.#tell(changed, this.#connected);
    this.#schedule(changed);
  }

  #tellAll(voters: ReadonlySet<OwnerId>): void {
    const answers = this.answers();
    for (const ack of answers) this.#told.set(ack.app, JSON.stringify(ack));
    this.#tell(answers, voters);
    this.#schedule(answers);
  }

  #tell(answers: readonly Ack[], voters: ReadonlySet<OwnerId>): void {
    const { mesh, feed } = this.#deps;
    if (answers.length === 0 || voters.size === 0) return;
    const head = { format: 1, proxy: mesh.self.name, serial: feed.table.serial };
    const message = encodeRecord({ ...head, acks: answers });
    const isOver = answers.length > ACKS_PER_MESSAGE_MAX || message.length > ACK_MESSAGE_BYTES_MAX;
    if (isOver && answers.length > 1) {
      const half = Math.ceil(answers.length / 2);
      this.#tell(answers.slice(0, half), voters);
      this.#tell(answers.slice(half), voters);
      return;
    }
    for (const voter of voters) this.#sent += Number(mesh.tell(voter, ACK_TOPIC, message));
  }

  /** All is repeated in time, whatever changes meanwhile: what changed was told, what was lost of the rest was not. */
  #schedule(answers: readonly Ack[]): void {
    if (this.#isStopped) return;
    const delayMs = answers.some(isUnsettled) ? Math.min(ACK_UNSETTLED_MS, this.#settledMs) : this.#settledMs;
    const atMs = monotonicUnixMs() + delayMs;
    if (atMs >= this.#dueAtMs) return;
    clearTimeout(this.#timer);
    this.#dueAtMs = atMs;
    this.#timer = setTimeout(() => {
      this.#dueAtMs = Number.POSITIVE_INFINITY;
      this.#tellAll(this.#connected);
    }, delayMs);
  }

  #lookForVoters(): void {
    const { mesh, directory } = this.#deps;
    const before = this.#connected;
    this.#connected = new Set(connectedVoters(mesh, directory).map(({ owner }) => owner));
    const joined = new Set([...this.#connected].filter((owner) => !before.has(owner)));
    if (joined.size > 0) this.#tellAll(joined);
  }
}
