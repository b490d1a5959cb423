// VoterDirectory: the voter chain of this member, fed by gossip and by asking. What is known is handed on: a voter writes the
// links into its own state, and anybody answers for them.

import type { MemberName, OwnerId } from "../../core/ids.ts";
import { VOTER_FETCH_MS } from "../../limits.ts";
import type { Entry } from "../../mesh.ts";
import { hostEntryShape, hostKey } from "../../records/members.ts";
import { decodeRecord } from "../../records/record-codec.ts";
import type { VoterId } from "../../register/ballot.ts";
import { decodeLink, encodeLink, VoterChain, type VoterLink } from "../../register/voter-chain.ts";
import type { Voter, VoterList } from "../../register/voter-list.ts";
import { messageOf } from "../../result.ts";
import type { RegisterContext } from "./register-context.ts";

const VOTER_LIST_PREFIX = "voter-list/";
/** Answers all links, one a chunk, in order. The request: empty, or a link that the answerer shall learn first. */
const VOTER_LISTS_SERVICE = "voter-lists";
/** Links of one answer that are looked at: each change of the voters is two. */
const LINKS_MAX = 10_000;

export class VoterDirectory {
  readonly #deps: RegisterContext;
  readonly #chain: VoterChain;
  readonly #listeners = new Set<(link: VoterLink) => void>();
  readonly #fetching = new Set<OwnerId>();
  /** What hosts' entries say: asked with each commit and, at each change of the members, for each app. */
  readonly #votes = new WeakMap<Uint8Array, boolean>();
  #isPublishing = false;

  constructor(deps: RegisterContext) {
    this.#deps = deps;
    this.#chain = new VoterChain(deps.cluster, deps.mesh.crypto);
  }

  /** Undefined: no voters were ever named, as far as we know. */
  get list(): VoterList | undefined {
    return this.#chain.list;
  }

  get cluster(): string {
    return this.#deps.cluster;
  }

  get links(): readonly VoterLink[] {
    return this.#chain.links;
  }

  /** To check by: fed by us alone. */
  get chain(): Pick<VoterChain, "list" | "before" | "listOf"> {
    return this.#chain;
  }

  /** Names of those voters of the list in force, for people. */
  namesOf(ids: readonly VoterId[]): readonly MemberName[] {
    return (this.list?.voters ?? []).filter(({ id }) => ids.includes(id)).map(({ name }) => name);
  }

  /** Voters that are members and not held dead, or gone, in order of rank: of several that could do something the first does. */
  living(): readonly Voter[] {
    const living = new Set(
      this.#deps.mesh
        .members()
        .filter(({ liveness }) => liveness.state === "alive" || liveness.state === "suspect")
        .map(({ owner }) => owner),
    );
    return (this.list?.voters ?? []).filter(({ owner }) => living.has(owner));
  }

  /** Those that live and vote: one that lost its memory says so in its own entry. */
  voting(): readonly Voter[] {
    return this.living().filter(({ owner, name }) => this.#saysThatItVotes(owner, name));
  }

  /** The list in force was begun by the root key, in place of one that no majority kept, and what was kept is not committed yet. */
  get isRestoring(): boolean {
    return this.links.at(-1)?.kind === "root" && this.list?.isSettled === false;
  }

  listOf(number: number): VoterList | undefined {
    return this.#chain.listOf(number);
  }

  /** Takes what the store has, and what comes. Returns the way to end that. */
  start(): () => void {
    const { mesh } = this.#deps;
    mesh.handle(VOTER_LISTS_SERVICE, (offered, from) => this.#answer(offered, from));
    const unsubscribe = mesh.onChange((change) => this.#takeEntry(change));
    // In the order of their keys, which is that of their numbers.
    for (const entry of mesh.store.list(VOTER_LIST_PREFIX)) this.#takeEntry(entry);
    return unsubscribe;
  }

  /** Called with each link that came into force, in the breath in which it did. */
  onAdopted(listener: (link: VoterLink) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** From now on what is known, and what is learned, is in our own state too. */
  publish(): void {
    if (this.#isPublishing) return;
    this.#isPublishing = true;
    for (const link of this.links) this.#write(link);
  }

  /** Why it proves nothing; null: it is in force, or was, or waits for what lies before it. */
  learn(encoded: Uint8Array, from: OwnerId): string | null {
    const link = decodeLink(encoded);
    const verdict = link.ok
      ? this.#chain.learn(link.value)
      : ({ kind: "refused", reason: link.error } as const);
    if (verdict.kind === "early") this.fetch(from);
    if (verdict.kind === "adopted" && link.ok) this.#adopted(link.value);
    if (verdict.kind !== "refused") return null;
    this.#deps.count("voter-links-refused");
    this.#deps.logger.warn({ from, reason: verdict.reason }, "voter list refused");
    return verdict.reason;
  }

  /** The same, of who is no member and cannot be asked for what lies before. */
  learnUnasked(encoded: Uint8Array): void {
    this.learn(encoded, this.#deps.mesh.self.owner);
  }

  /** Asks `peer` for what it knows. Not twice at once; who does not answer is asked again when it shows again that it knows more. */
  fetch(peer: OwnerId): void {
    if (this.#fetching.has(peer) || peer === this.#deps.mesh.self.owner) return;
    this.#fetching.add(peer);
    const fetched = this.fetched(peer, AbortSignal.timeout(VOTER_FETCH_MS));
    void fetched
      .catch((error: unknown) => {
        this.#deps.logger.debug({ peer, reason: messageOf(error) }, "voter lists could not be fetched");
      })
      .finally(() => this.#fetching.delete(peer));
  }

  /** Resolves when all that `peer` knows is known here, as far as it proves anything. Rejects when it does not answer. */
  fetched(peer: OwnerId, signal: AbortSignal): Promise<void> {
    return this.#exchange(peer, new Uint8Array(), signal);
  }

  /** Resolves when `peer` knows this link, and we know its own. Rejects with why it does not take it. */
  offer(peer: OwnerId, link: Uint8Array, signal: AbortSignal): Promise<void> {
    return this.#exchange(peer, link, signal);
  }

  async #exchange(peer: OwnerId, offered: Uint8Array, signal: AbortSignal): Promise<void> {
    let links = 0;
    for await (const encoded of this.#deps.mesh.call(peer, VOTER_LISTS_SERVICE, offered, signal)) {
      links += 1;
      if (links > LINKS_MAX || this.#learnFetched(encoded, peer)) return;
    }
  }

  /** True: it is no use to read on. An answer that begins too late is not asked for again. */
  #learnFetched(encoded: Uint8Array, peer: OwnerId): boolean {
    const link = decodeLink(encoded);
    if (link.ok && link.value.kind === "committed" && this.#chain.list === undefined) return true;
    return this.learn(encoded, peer) !== null;
  }

  async *#answer(offered: Uint8Array, from: OwnerId): AsyncGenerator<Uint8Array> {
    const refused = offered.length === 0 ? null : this.learn(offered, from);
    if (refused !== null) throw new Error(`the voter list is refused: ${refused}`);
    for (const link of this.links) yield encodeLink(link);
  }

  #takeEntry({ key, value, owner }: Entry): void {
    if (key.startsWith(VOTER_LIST_PREFIX) && value !== null) this.learn(value, owner);
  }

  #saysThatItVotes(owner: OwnerId, name: MemberName): boolean {
    const value = this.#deps.mesh.store.get(owner, hostKey(name))?.value;
    if (value == null) return true;
    const known = this.#votes.get(value);
    if (known !== undefined) return known;
    const said = decodeRecord(hostEntryShape, value);
    const votes = !said.ok || said.value.voter;
    this.#votes.set(value, votes);
    return votes;
  }

  #adopted(link: VoterLink): void {
    this.#deps.count("voter-links-adopted");
    const { number, voters, isSettled } = link.list;
    const names = voters.map(({ name }) => name);
    this.#deps.logger.info({ number, voters: names, isSettled, by: link.kind }, "voter list in force");
    if (this.#isPublishing) this.#write(link);
    for (const listener of this.#listeners) listener(link);
  }

  #write(link: VoterLink): void {
    const { number, isSettled } = link.list;
    // In the order of the chain also as text.
    const key = `${VOTER_LIST_PREFIX}${String(number).padStart(8, "0")}${isSettled && link.kind !== "root" ? "/settled" : ""}`;
    this.#deps.mesh.write(key, encodeLink(link));
  }
}
