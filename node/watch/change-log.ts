// Change log: the last changes of the store, numbered, so that a reader that comes again goes on where it was, or is told
// that it cannot. Bounded by number and bytes: the oldest go first.

import { randomBytes } from "node:crypto";
import type { EntryChange, Mesh } from "../../mesh/index.ts";
import { WATCH_CHANGES_BYTES_MAX, WATCH_CHANGES_MAX } from "../limits.ts";

export interface ChangeLogOptions {
  readonly changesMax: number;
  readonly bytesMax: number;
}

const DEFAULTS: ChangeLogOptions = { changesMax: WATCH_CHANGES_MAX, bytesMax: WATCH_CHANGES_BYTES_MAX };
const POSITION = /^([0-9a-f]{12})\.(\d{1,15})(\.snapshot)?$/;

/** What a position says: where to go on, or why that is not possible. */
export type Resumption =
  | { readonly code: "resume"; readonly after: number }
  /** The reader's mistake. */
  | { readonly code: "invalid" }
  /** It must begin anew; `reason` for people. */
  | { readonly code: "restart"; readonly reason: string };

export class ChangeLog {
  readonly #options: ChangeLogOptions;
  /** Of this start of the agent: another one counts anew. */
  readonly #start = randomBytes(6).toString("hex");
  /** The newest last; the first has the number `#dropped + 1`. */
  readonly #changes: EntryChange[] = [];
  readonly #listeners = new Set<() => void>();
  #dropped = 0;
  #bytes = 0;

  /** For as long as the mesh: it has no end of its own. */
  constructor(mesh: Pick<Mesh, "onChange">, options: ChangeLogOptions = DEFAULTS) {
    this.#options = options;
    mesh.onChange((change) => this.#add(change));
  }

  /** The number of the newest change; 0: there was none. */
  get newest(): number {
    return this.#dropped + this.#changes.length;
  }

  /** After these changes nothing is missing: all later ones are here. */
  isHeldAfter(number: number): boolean {
    return number >= this.#dropped;
  }

  /** The change with this number; undefined: it is not here (any more). */
  at(number: number): EntryChange | undefined {
    return this.#changes[number - this.#dropped - 1];
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** `isInSnapshot`: of a line within a snapshot: from there nobody can go on. */
  position(number: number, isInSnapshot = false): string {
    return `${this.#start}.${number}${isInSnapshot ? ".snapshot" : ""}`;
  }

  resume(position: string): Resumption {
    const [, start, digits, snapshot] = POSITION.exec(position) ?? [];
    if (start === undefined || digits === undefined) return { code: "invalid" };
    const after = Number(digits);
    if (start !== this.#start)
      return restart("this position is of another agent, or of another start of this one");
    if (snapshot !== undefined) return restart("the snapshot was not read to its end");
    if (after > this.newest)
      return restart("this position is not reached yet: it is of no watch of this agent");
    return this.isHeldAfter(after)
      ? { code: "resume", after }
      : restart("what followed this position is forgotten");
  }

  #add(change: EntryChange): void {
    this.#changes.push(change);
    this.#bytes += bytesOf(change);
    if (this.#isOver()) this.#drop();
    for (const listener of this.#listeners) listener();
  }

  #isOver(): boolean {
    return this.#changes.length > this.#options.changesMax || this.#bytes > this.#options.bytesMax;
  }

  /** An eighth more than needed: an array that is shifted for each change moves all of it each time. */
  #drop(): void {
    const { changesMax, bytesMax } = this.#options;
    const [countTarget, bytesTarget] = [changesMax - (changesMax >> 3), bytesMax - (bytesMax >> 3)];
    let dropped = 0;
    for (const change of this.#changes) {
      if (this.#changes.length - dropped <= countTarget && this.#bytes <= bytesTarget) break;
      this.#bytes -= bytesOf(change);
      dropped += 1;
    }
    this.#changes.splice(0, dropped);
    this.#dropped += dropped;
  }
}

function restart(reason: string): Resumption {
  return { code: "restart", reason };
}

function bytesOf({ key, value }: EntryChange): number {
  return key.length + (value?.length ?? 0);
}
