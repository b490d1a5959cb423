// Forgets: who is gone for good. What is said here is on our disk before it is an entry of our state, and said again at each
// start; what is heard is kept on disk as well, so that nobody whom we knew to be gone comes back from our snapshot.

import type { Logger } from "pino";
import {
  encodeForget,
  FORGET_PREFIX,
  type ForgetWord,
  forgetKey,
  forgetWordOf,
  isGone,
} from "../core/forget-entry.ts";
import type { OwnerId } from "../core/ids.ts";
import { decodeMember, MEMBER_KEY } from "../core/member.ts";
import type { Store } from "../core/store.ts";
import { compareStarts, type Start, type Version } from "../core/version.ts";
import { FORGOTTEN_OWNERS_MAX } from "../limits.ts";
import { messageOf } from "../result.ts";
import type { ForgetFile, KeptWord } from "./forget-file.ts";

export interface ForgetsDeps {
  readonly file: Pick<ForgetFile, "write">;
  readonly store: Store;
  /** Of our own state. */
  readonly write: (key: string, value: Uint8Array | null) => Version;
  readonly logger: Logger;
}

export class Forgets {
  readonly #deps: ForgetsDeps;
  /** Insertion order is age. */
  readonly #kept = new Map<OwnerId, KeptWord>();
  #writing: Promise<void> = Promise.resolve();
  /** The write that has not begun yet: all that comes until then is in it. */
  #next: Promise<void> | undefined;

  /** `kept`: what the file held. */
  constructor(kept: readonly KeptWord[], deps: ForgetsDeps) {
    this.#deps = deps;
    for (const word of kept) this.#kept.set(word.owner, word);
  }

  get words(): readonly ForgetWord[] {
    return [...this.#kept.values()];
  }

  /** Writes what was said here before into our new start. Before `announce`. */
  repeat(): void {
    for (const word of this.#kept.values()) if (word.isOurs) this.#tell(word);
  }

  /** Said by anybody, ourselves too. */
  heard(word: ForgetWord): void {
    const known = this.#kept.get(word.owner);
    if (known !== undefined && compareStarts(known.upTo, word.upTo) >= 0) return;
    // It was back before the word came: nothing would end it.
    if (!isGone(this.#deps.store, word)) return;
    this.#keep({ ...word, isOurs: known?.isOurs ?? false });
    // Logged where it is written.
    this.#save().catch(() => undefined);
  }

  /** This start of an owner is in force: what was said of earlier ones has done its work. */
  returned(owner: OwnerId, start: Start): void {
    const known = this.#kept.get(owner);
    if (known === undefined || compareStarts(known.upTo, start) >= 0) return;
    this.#kept.delete(owner);
    if (known.isOurs) this.#deps.write(forgetKey(owner), null);
  }

  /**
   * Says that this owner is gone for good, up to the last start that we hold of it. What it had said of others is said by us
   * from now on. Resolves with the version of our entry once it is on disk and told; rejects when the disk fails, and then
   * nothing was said. What stands already is said again. Of one of whom we hold nothing:
   * undefined.
   */
  async say(owner: OwnerId): Promise<Version | undefined> {
    const word = this.#wordOn(owner) ?? this.#standing(owner);
    if (word === undefined) return undefined;
    const words = [...this.#saidBy(owner), word].map((one) => ({ ...this.#latest(one), isOurs: true }));
    const before = words.map((one) => this.#kept.get(one.owner));
    for (const one of words) this.#keep(one);
    try {
      await this.#save();
    } catch (error) {
      for (const [at, one] of words.entries()) this.#takeBack(one, before[at]);
      throw error;
    }
    return words.map((one) => this.#tell(one)).at(-1);
  }

  async stop(): Promise<void> {
    await this.#next?.catch(() => undefined);
    await this.#writing;
  }

  #wordOn(owner: OwnerId): ForgetWord | undefined {
    const { store } = this.#deps;
    const { inForce, aside } = store.held(owner);
    const starts = [inForce, aside].flatMap((state) => state?.start ?? []);
    const upTo = starts.sort(compareStarts).at(-1);
    const entry = store.get(owner, MEMBER_KEY)?.value;
    const member = entry == null ? undefined : decodeMember(entry);
    if (upTo === undefined || member?.ok !== true) return undefined;
    return { owner, upTo, name: member.value.name };
  }

  /** Said before, and not ended by its return. */
  #standing(owner: OwnerId): ForgetWord | undefined {
    const known = this.#kept.get(owner);
    return known !== undefined && isGone(this.#deps.store, known) ? known : undefined;
  }

  #saidBy(owner: OwnerId): readonly ForgetWord[] {
    const said = this.#deps.store.list(FORGET_PREFIX).filter((entry) => entry.owner === owner);
    const words = said.flatMap((entry) => forgetWordOf(entry) ?? []);
    return words.filter((word) => isGone(this.#deps.store, word));
  }

  /** Of this word and the one that we know of the same owner: words only move forward. */
  #latest(word: ForgetWord): ForgetWord {
    const known = this.#kept.get(word.owner);
    return known !== undefined && compareStarts(known.upTo, word.upTo) > 0 ? known : word;
  }

  /** Not what was heard meanwhile. */
  #takeBack(word: KeptWord, before: KeptWord | undefined): void {
    if (this.#kept.get(word.owner) !== word) return;
    if (before === undefined) this.#kept.delete(word.owner);
    else this.#kept.set(word.owner, before);
  }

  #tell(word: ForgetWord): Version {
    return this.#deps.write(forgetKey(word.owner), encodeForget(word));
  }

  #keep(word: KeptWord): void {
    this.#kept.delete(word.owner);
    this.#kept.set(word.owner, word);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size <= FORGOTTEN_OWNERS_MAX || oldest === undefined) return;
    if (this.#kept.get(oldest)?.isOurs === true) this.#deps.write(forgetKey(oldest), null);
    this.#kept.delete(oldest);
  }

  /** One at a time; each writes what is kept when its turn comes: who joins hears of thousands at once. */
  #save(): Promise<void> {
    this.#next ??= this.#write();
    return this.#next;
  }

  async #write(): Promise<void> {
    await this.#writing;
    this.#next = undefined;
    const written = this.#deps.file.write(this.#kept.values());
    this.#writing = written.catch((error: unknown) =>
      this.#deps.logger.error(
        { reason: messageOf(error) },
        "cannot write the members that are gone for good: after a restart what was heard must be heard again",
      ),
    );
    await written;
  }
}
