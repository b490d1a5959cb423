// MemberBook: our own member entry, who else the store says there is, and who wants to hear when that changes.

import type { Logger } from "pino";
import type { MemberName, OwnerId } from "../core/ids.ts";
import { encodeMember, MEMBER_ADDRESSES_MAX, MEMBER_KEY } from "../core/member.ts";
import type { Store } from "../core/store.ts";
import type { Version } from "../core/version.ts";
import type { MemberLiveness, MemberView, Mesh } from "../mesh.ts";
import { HiddenMembers, viewMembers } from "./members.ts";
import type { Peers } from "./peers.ts";

export interface MemberBookDeps {
  readonly self: Mesh["self"];
  readonly store: Store;
  readonly isConnected: (owner: OwnerId) => boolean;
  readonly livenessOf: (owner: OwnerId) => MemberLiveness;
  /** Of our own state. */
  readonly write: (key: string, value: Uint8Array) => Version;
  readonly logger: Logger;
}

export class MemberBook {
  readonly #deps: MemberBookDeps;
  readonly #hidden = new HiddenMembers();
  readonly #listeners = new Set<() => void>();
  #addresses: readonly string[] = [];
  #startedAtMs = 0;
  #refutation = 0;
  #isLeaving = false;

  constructor(deps: MemberBookDeps) {
    this.#deps = deps;
  }

  /** Our entry: at most as many addresses as a record has room for. */
  begin(addresses: readonly string[]): void {
    this.#addresses = addresses.slice(0, MEMBER_ADDRESSES_MAX);
    this.#startedAtMs = Date.now();
    this.#write();
  }

  object(refutation: number): void {
    this.#refutation = refutation;
    this.#write();
  }

  /** For good: an objection that comes after it says so too. */
  leave(): Version {
    this.#isLeaving = true;
    return this.#write();
  }

  onMembers(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  tell(): void {
    for (const listener of this.#listeners) listener();
  }

  clear(): void {
    this.#listeners.clear();
  }

  view(): readonly MemberView[] {
    return this.#view().shown;
  }

  named(name: MemberName): readonly MemberView[] {
    const { shown, superseded } = this.#view();
    return [...shown, ...superseded].filter((member) => member.name === name);
  }

  /** Those that should be connected are told to `peers`. */
  learn(peers: Peers): void {
    const { shown, superseded } = this.#view();
    const others = shown.filter((member) => !member.self);
    peers.setMembers(new Map(others.map((member) => [member.owner, member.addresses])));
    this.#hidden.log(superseded, this.#deps.logger);
  }

  #view(): ReturnType<typeof viewMembers> {
    const { store, self, isConnected, livenessOf } = this.#deps;
    return viewMembers(store, { self: self.owner, isConnected, livenessOf });
  }

  #write(): Version {
    const { name, role } = this.#deps.self;
    const [addresses, startedAtMs] = [this.#addresses, this.#startedAtMs];
    const [refutation, isLeaving] = [this.#refutation, this.#isLeaving];
    const record = { name, role, addresses, startedAtMs, refutation, isLeaving };
    return this.#deps.write(MEMBER_KEY, encodeMember(record));
  }
}
