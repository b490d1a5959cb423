// StandInMesh: a mesh of ourselves and one peer, in which nothing happens but what a test does. For the tests of what is made of
// tells and of what the store shows.

import { memberName, type OwnerId, ownerId } from "../core/ids.ts";
import type { Version } from "../core/version.ts";
import { decodeApplied } from "../io/applied-answers.ts";
import type { Entry, EntryChange, MemberRole, MemberView, Mesh, TellHandler } from "../mesh.ts";

export const SELF: OwnerId = ownerId("self");
export const PEER: OwnerId = ownerId("peer");

export function at(counter: number, incarnation = 10, startId = 1): Version {
  return { incarnation, startId, counter };
}

interface Told {
  readonly topic: string;
  /** Of the two messages that are one. */
  readonly head: Version | undefined;
}

export class StandInMesh {
  readonly self: Mesh["self"] = { owner: SELF, name: memberName("self"), role: "host" };
  readonly heads: Map<OwnerId, Version> = new Map([[SELF, at(5)]]);
  readonly told: Told[] = [];
  /** As told, in order. */
  readonly messages: Uint8Array[] = [];
  role: MemberRole = "host";
  liveness: MemberView["liveness"]["state"] = "alive";
  isConnected = true;
  isRegistered = false;
  readonly #handlers = new Map<string, TellHandler>();
  readonly #changed: ((change: EntryChange) => void)[] = [];
  readonly #members: (() => void)[] = [];

  readonly store: Mesh["store"] = {
    get: (owner, key) => (owner === PEER && this.isRegistered ? registration(key) : undefined),
    list: () => [],
    isStale: () => false,
    head: (owner) => this.heads.get(owner),
  };

  members(): readonly MemberView[] {
    const shared = { incarnation: 1, addresses: [] } as const;
    const liveness = (state: MemberView["liveness"]["state"]) => ({ state, sinceMs: 0, why: "" });
    const self = { ...this.self, connected: true, liveness: liveness("alive"), self: true, ...shared };
    const { role, isConnected: connected } = this;
    const peer = { owner: PEER, name: memberName("peer"), role, connected, self: false, ...shared };
    return [self, { ...peer, liveness: liveness(this.liveness) }];
  }
  tell(_target: OwnerId, topic: string, message: Uint8Array): boolean {
    this.told.push({ topic, head: decodeApplied(message) });
    this.messages.push(message);
    return this.isConnected;
  }
  onTell(topic: string, handler: TellHandler): void {
    this.#handlers.set(topic, handler);
  }
  onChange(listener: (change: EntryChange) => void): () => void {
    this.#changed.push(listener);
    return () => undefined;
  }
  onMembers(listener: () => void): () => void {
    this.#members.push(listener);
    return () => undefined;
  }

  hear(topic: string, message: Uint8Array): void {
    this.#handlers.get(topic)?.(message, PEER);
  }
  /** The peer's state in force is at `head` now. */
  reach(head: Version): void {
    this.heads.set(PEER, head);
    const change: EntryChange = {
      owner: PEER,
      key: "a",
      value: null,
      version: head,
      path: "gossip",
      from: PEER,
    };
    for (const listener of this.#changed) listener(change);
  }
  setConnected(isConnected: boolean): void {
    this.isConnected = isConnected;
    for (const listener of this.#members) listener();
  }
}

function registration(key: string): Entry {
  return { owner: PEER, key, value: new Uint8Array([1]), version: at(1) };
}
