// OwnState: the one host state that we write. It stamps versions, signs heads, feeds the outbox, and begins a new start
// when somebody shows us writes of ours that we did not do.

import { ENTRIES_PER_OWNER_MAX } from "../limits.ts";
import type { Entry } from "../mesh.ts";
import { checkEntryBounds, isSameValue } from "./entry.ts";
import { type Head, type HeadCrypto, headBytes } from "./head.ts";
import { HostState } from "./host-state.ts";
import type { OwnerId } from "./ids.ts";
import type { HostDelta } from "./message.ts";
import { Outbox } from "./outbox.ts";
import { compareStarts, type Start, type Version } from "./version.ts";

/**
 * Who wrote what we did not: `past` was left by an earlier life of ours. `elder` and `younger`: another process that runs
 * now with our key, and is born before or after us.
 */
export type Writer = "past" | "elder" | "younger";

export class OwnState {
  readonly #crypto: Pick<HeadCrypto, "roots" | "sign">;
  readonly #born: Start;
  /** Start ids that this process began. */
  readonly #begun = new Set<number>();
  #raisedAbove = 0;
  #state: HostState;
  #outbox = new Outbox();
  #completeAt = 0;
  /** A peer showed that it knows later writes of ours. */
  isOutdone = false;

  constructor(owner: OwnerId, start: Start, crypto: Pick<HeadCrypto, "roots" | "sign">) {
    this.#crypto = crypto;
    this.#born = start;
    this.#state = this.#begin(owner, start);
    this.#state.isDraft = true;
  }

  get state(): HostState {
    return this.#state;
  }
  get isAnnounced(): boolean {
    return !this.#state.isDraft;
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
    this.#state.isDraft = false;
    // A start without a write has nothing that could take the place of what was before.
    this.#completeAt = Math.max(1, this.#state.counter);
  }

  /** Nothing of it is told or gossiped any more. */
  silence(): void {
    this.#state.isDraft = true;
  }

  /** Signs the state as it stands, if it was announced and is not signed yet: before it is shown to anybody. */
  seal(): Head | undefined {
    const { owner, start, counter, isDraft, signed } = this.#state;
    if (isDraft || signed !== undefined) return signed;
    const root = this.#crypto.roots.rootOf([...this.#state.entries()]);
    const claim = {
      counter,
      completeAt: this.#completeAt,
      born: this.#born,
      raisedAbove: this.#raisedAbove,
      root,
    };
    const head = { ...claim, signature: this.#crypto.sign(headBytes(owner, start, claim)) };
    this.#state.sign(head);
    return head;
  }

  /** What gossip has to carry next; undefined before `announce`: nothing may go out. */
  takeGossip(): HostDelta | undefined {
    const head = this.seal();
    return head === undefined ? undefined : this.#outbox.take(this.#state, head);
  }

  /** Whose a head is that our key signed and we did not. */
  writerOf({ born, raisedAbove }: Head): Writer {
    if (!this.#begun.has(raisedAbove)) return "past";
    return compareStarts(born, this.#born) < 0 ? "elder" : "younger";
  }

  /** Writes all live entries again under a new start, above `seen`. Tombstones end with the start that had them. */
  restart(start: Start, seen: Start): readonly Entry[] {
    const { owner, isDraft } = this.#state;
    const live = [...this.#state.entries()].filter((entry) => entry.value !== null);
    this.#raisedAbove = seen.startId;
    this.isOutdone = false;
    this.#state = this.#begin(owner, start);
    this.#state.isDraft = isDraft;
    this.#outbox = new Outbox();
    const entries = live.map((entry) => this.#stamp(entry.key, entry.value));
    if (!isDraft) this.announce();
    return entries;
  }

  #begin(owner: OwnerId, start: Start): HostState {
    this.#begun.add(start.startId);
    return new HostState(owner, start);
  }

  #stamp(key: string, value: Uint8Array | null): Entry {
    const version = { ...this.#state.start, counter: this.#state.counter + 1 };
    const entry = { owner: this.#state.owner, key, value, version };
    this.#state.put(entry);
    this.#outbox.add(entry);
    return entry;
  }
}
