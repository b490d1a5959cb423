// OwnState: the one host state that we write. It stamps versions, feeds the outbox, and begins a new start when somebody
// shows us writes of ours that we did not do.

import { ENTRIES_PER_OWNER_MAX } from "../limits.ts";
import type { Entry } from "../mesh.ts";
import { checkEntryBounds, isSameValue } from "./entry.ts";
import { HostState } from "./host-state.ts";
import type { OwnerId } from "./ids.ts";
import type { HostDelta } from "./message.ts";
import { Outbox } from "./outbox.ts";
import type { Start, Version } from "./version.ts";

export class OwnState {
  #state: HostState;
  #outbox = new Outbox();
  #isAnnounced = false;

  constructor(owner: OwnerId, start: Start) {
    this.#state = new HostState(owner, start);
  }

  get state(): HostState {
    return this.#state;
  }
  get isAnnounced(): boolean {
    return this.#isAnnounced;
  }

  /** The version in force of one key, a tombstone's too. */
  version(key: string): Version | undefined {
    return this.#state.get(key)?.version;
  }

  /** The new entry, or undefined when these bytes are there already. Over a bound it throws: a bug of the caller. */
  write(key: string, value: Uint8Array | null): Entry | undefined {
    const failure = checkEntryBounds(key, value);
    if (failure !== undefined) throw new Error(`bug: write of ${key.slice(0, 64)}: ${failure}`);
    const held = this.#state.get(key);
    if (held !== undefined && isSameValue(held.value, value)) return undefined;
    if (held === undefined && this.#state.size >= ENTRIES_PER_OWNER_MAX)
      throw new Error("bug: too many entries");
    return this.#stamp(key, value === null ? null : new Uint8Array(value));
  }

  announce(): void {
    this.#isAnnounced = true;
    this.#state.learnCompleteAt(Math.max(1, this.#state.counter));
  }

  /** What gossip has to carry next. Before `announce` nothing may go out. */
  takeGossip(): HostDelta {
    return this.#outbox.take(this.#state);
  }

  /** Writes all live entries again under a new start. Tombstones end with the start that had them. */
  restart(start: Start): readonly Entry[] {
    const live = [...this.#state.entries()].filter((entry) => entry.value !== null);
    this.#state = new HostState(this.#state.owner, start);
    this.#outbox = new Outbox();
    const entries = live.map((entry) => this.#stamp(entry.key, entry.value));
    if (this.#isAnnounced) this.announce();
    return entries;
  }

  #stamp(key: string, value: Uint8Array | null): Entry {
    const version = { ...this.#state.start, counter: this.#state.counter + 1 };
    const entry = { owner: this.#state.owner, key, value, version };
    this.#state.put(entry);
    this.#outbox.add(entry);
    return entry;
  }
}
