// Directory: the real voter chain of one process, fed by what others send and by asking, as mesh/io/register/voter-directory.ts does.

import { VOTER_FETCH_MS } from "../../limits.ts";
import { decodeLink, encodeLink, VoterChain, type VoterLink } from "../../register/voter-chain.ts";
import { describeVoterList, type VoterList } from "../../register/voter-list.ts";
import type { Clock } from "./clock.ts";
import { CLUSTER, rootCrypto } from "./crypto.ts";
import type { Message, Send } from "./messages.ts";

export interface DirectoryDeps {
  readonly clock: Clock;
  readonly self: number;
  /** To whom news are sent. */
  readonly hosts: number;
  readonly send: Send;
  /** All are honest here: a link that proves nothing was made by a list that was not in force. */
  readonly onRefused: (text: string) => void;
}

export class Directory {
  readonly #deps: DirectoryDeps;
  readonly #chain = new VoterChain(CLUSTER, rootCrypto);
  readonly #listeners: ((link: VoterLink) => void)[] = [];
  /** By host: until when its answer is waited for. */
  readonly #fetching = new Map<number, number>();

  constructor(deps: DirectoryDeps) {
    this.#deps = deps;
  }

  /** Undefined: no voters were ever named, as far as we know. */
  get list(): VoterList | undefined {
    return this.#chain.list;
  }

  get links(): readonly VoterLink[] {
    return this.#chain.links;
  }

  listOf(number: number): VoterList | undefined {
    return this.#chain.listOf(number);
  }

  /** Called with each link that came into force, in the breath in which it did. */
  onAdopted(listener: (link: VoterLink) => void): void {
    this.#listeners.push(listener);
  }

  /** From our own disk: nobody is told. */
  restore(links: readonly Uint8Array[]): void {
    for (const bytes of links) {
      const link = decodeLink(bytes);
      const verdict = link.ok ? this.#chain.learn(link.value).kind : "refused";
      if (verdict !== "adopted")
        throw new Error(`bug: a link on the disk of host-${this.#deps.self}: ${verdict}`);
    }
  }

  /** What was committed here. */
  learnOwn(link: VoterLink): void {
    this.#learn(encodeLink(link), this.#deps.self);
  }

  receive({ links, isFetched }: Extract<Message, { kind: "links" }>, from: number): void {
    if (isFetched) this.#fetching.delete(from);
    for (const link of links) this.#learn(link, from);
  }

  /** Not twice at once. */
  fetch(from: number): void {
    const { clock, self, send } = this.#deps;
    if (from === self || (this.#fetching.get(from) ?? 0) > clock.nowMs) return;
    this.#fetching.set(from, clock.nowMs + VOTER_FETCH_MS);
    send(from, { kind: "fetch" });
  }

  answer(to: number): void {
    const links = this.links.map(encodeLink);
    if (links.length > 0) this.#deps.send(to, { kind: "links", links, isFetched: true });
  }

  #learn(encoded: Uint8Array, from: number): void {
    const link = decodeLink(encoded);
    if (!link.ok) throw new Error(`bug: a link that cannot be read: ${link.error}`);
    const verdict = this.#chain.learn(link.value);
    if (verdict.kind === "refused")
      this.#deps.onRefused(`${describeVoterList(link.value.list)} is refused: ${verdict.reason}`);
    if (verdict.kind === "early") this.fetch(from);
    if (verdict.kind !== "adopted") return;
    const { clock, self, hosts, send } = this.#deps;
    clock.tell(null, () => `host-${self} learns ${describeVoterList(link.value.list)}`);
    for (const listener of this.#listeners) listener(link.value);
    for (let to = 0; to < hosts; to += 1)
      if (to !== self && to !== from) send(to, { kind: "links", links: [encoded], isFetched: false });
  }
}
