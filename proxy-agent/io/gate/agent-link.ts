// Agent link: the gate's end of the link to its host's agent. Dialled again whenever it breaks; while it is down the gate goes on
// with what it knows, and proxies hand in what is newer.

import { connect } from "node:net";
import type { Logger } from "pino";
import {
  type AppName,
  decodeRecord,
  encodeRecord,
  GATE_STANDINGS_MAX,
  type GateStanding,
  LocalLink,
  type MemberName,
  type ToAgent,
  toGateShape,
} from "../../../mesh/index.ts";
import {
  GATE_COUNTERS_MS,
  GATE_ENTRIES_TIMEOUT_MS,
  GATE_LINK_PAUSE_FIRST_MS,
  GATE_LINK_PAUSE_LAST_MS,
} from "../../limits.ts";
import type { GateState } from "./gate-state.ts";

export interface AgentLinkOptions {
  readonly cluster: string;
  readonly host: MemberName;
  /** Of the agent: a socket in the file system. */
  readonly agentSocket: string;
}

export interface AgentLinkDeps {
  readonly state: GateState;
  readonly counters: () => Readonly<Record<string, number>>;
  readonly logger: Logger;
}

export class AgentLink {
  readonly #options: AgentLinkOptions;
  readonly #deps: AgentLinkDeps;
  #link: LocalLink | null = null;
  #pauseMs = GATE_LINK_PAUSE_FIRST_MS;
  #timer: NodeJS.Timeout | undefined;
  #counterTimer: NodeJS.Timeout | undefined;
  readonly #changed = new Set<AppName>();
  #isStopped = false;
  #isToldDown = false;
  readonly #asked = new Map<AppName, PromiseWithResolvers<readonly Uint8Array[]>>();
  /** Keys of records that the agent told since the link stands, and that could not be taken as they were told last. */
  readonly #refused = new Set<string>();
  /** It said so since then. */
  #isCurrent = false;

  constructor(options: AgentLinkOptions, deps: AgentLinkDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  start(): void {
    this.#dial();
    this.#counterTimer = setInterval(() => this.#sendCounters(), GATE_COUNTERS_MS);
  }

  /** What is confirmed of this app changed. What changes within one turn of the loop is one message. */
  changed(app: AppName): void {
    if (this.#changed.size === 0) setImmediate(() => this.#sendChanged());
    this.#changed.add(app);
  }

  handedIn(key: string, value: Uint8Array): void {
    this.#send({ format: 1, kind: "record", key, value });
  }

  /** What the hosts of this app's VMs say of them, as the agent knows it, proven. Empty: the agent is away, or silent. Never rejects. */
  entries(app: AppName): Promise<readonly Uint8Array[]> {
    const asked = this.#asked.get(app);
    // Of those that ask at the same time one does.
    if (asked !== undefined) return asked.promise;
    if (this.#link === null) return Promise.resolve([]);
    const waiting = Promise.withResolvers<readonly Uint8Array[]>();
    this.#asked.set(app, waiting);
    const timer = setTimeout(() => waiting.resolve([]), GATE_ENTRIES_TIMEOUT_MS);
    this.#send({ format: 1, kind: "ask-entries", app });
    return waiting.promise.finally(() => {
      clearTimeout(timer);
      this.#asked.delete(app);
    });
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    clearInterval(this.#counterTimer);
    this.#link?.close("the gate stops");
  }

  #dial(): void {
    const socket = connect(this.#options.agentSocket);
    const fail = (error: Error) => this.#lost(error.message);
    socket.once("error", fail);
    socket.once("connect", () => {
      socket.removeListener("error", fail);
      if (this.#isStopped) socket.destroy();
      else
        this.#opened(
          new LocalLink(socket, { onMessage: (bytes) => this.#hear(bytes), onEnd: (why) => this.#lost(why) }),
        );
    });
  }

  #opened(link: LocalLink): void {
    const { state, logger } = this.#deps;
    const { cluster, host } = this.#options;
    this.#link = link;
    this.#isToldDown = false;
    this.#refused.clear();
    this.#isCurrent = false;
    logger.info({ agentSocket: this.#options.agentSocket }, "agent reached");
    this.#send({ format: 1, kind: "hello", cluster, host, pid: process.pid, isBlank: state.isBlank });
    this.#sendStandings(state.standings());
    this.#sendCounters();
  }

  #lost(reason: string): void {
    this.#link = null;
    for (const waiting of this.#asked.values()) waiting.resolve([]);
    if (this.#isStopped) return;
    if (!this.#isToldDown)
      this.#deps.logger.warn({ reason }, "agent cannot be reached: the gate goes on with what it knows");
    this.#isToldDown = true;
    this.#timer = setTimeout(() => this.#dial(), this.#pauseMs);
    this.#pauseMs = Math.min(2 * this.#pauseMs, GATE_LINK_PAUSE_LAST_MS);
  }

  #hear(bytes: Uint8Array): void {
    const { state, logger } = this.#deps;
    const decoded = decodeRecord(toGateShape, bytes);
    if (!decoded.ok) {
      // An agent of another release: it is not half understood.
      this.#link?.close(`it says what this release cannot read: ${decoded.error}`);
      return;
    }
    this.#pauseMs = GATE_LINK_PAUSE_FIRST_MS;
    const message = decoded.value;
    switch (message.kind) {
      case "voter-link":
        state.learn(message.link);
        return;
      case "record": {
        const taken = state.take(message.key, message.value);
        if (taken.ok) {
          this.#refused.delete(message.key);
          this.#openIfWhole();
          return;
        }
        this.#refused.add(message.key);
        logger.error({ key: message.key, reason: taken.error }, "record of the agent refused");
        return;
      }
      case "vms":
        state.place(message.vms);
        return;
      case "entries":
        this.#asked.get(message.app)?.resolve(message.proofs);
        return;
      case "current":
        this.#isCurrent = true;
        this.#openIfWhole();
    }
  }

  /** A blank gate that lacks a record could open what that closes. One that new voters have signed anew is told again. */
  #openIfWhole(): void {
    const { state } = this.#deps;
    if (state.isBlank && this.#isCurrent && this.#refused.size === 0) state.current();
  }

  #sendChanged(): void {
    const apps = [...this.#changed];
    this.#changed.clear();
    this.#sendStandings(apps.flatMap((app) => this.#deps.state.standing(app) ?? []));
  }

  #sendStandings(standings: readonly GateStanding[]): void {
    for (let at = 0; at < standings.length; at += GATE_STANDINGS_MAX)
      this.#send({ format: 1, kind: "standings", standings: standings.slice(at, at + GATE_STANDINGS_MAX) });
  }

  #sendCounters(): void {
    const { state, counters } = this.#deps;
    const told = { ...counters(), ...state.gauges };
    this.#send({ format: 1, kind: "counters", counters: told, closings: state.closings });
  }

  #send(message: ToAgent): void {
    this.#link?.send(encodeRecord(message));
  }
}
