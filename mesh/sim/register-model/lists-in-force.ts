// Lists in force: the voter lists of one state, by what was chosen in it. Another way through the states may have brought others.

import { listOf } from "../../register/testing/voters.ts";
import { majorityOf } from "../../register/voter-list.ts";
import { Memo } from "./interner.ts";
import type { Layout, State } from "./layout.ts";
import { listsInForce } from "./observed.ts";
import type { Parts } from "./parts.ts";

export class ListsInForce {
  readonly #parts: Parts;
  readonly #layout: Layout;
  /** Letters of the first list. */
  readonly #voters: string;
  readonly #lists = new Memo<readonly number[]>();
  readonly #majorities = new Memo<number>();

  constructor(parts: Parts, layout: Layout, voters: string) {
    this.#parts = parts;
    this.#layout = layout;
    this.#voters = voters;
  }

  /** Those that anybody may learn, by the numbers of their parts. */
  of(state: State): readonly number[] {
    const id = state[this.#layout.observedAt] ?? 0;
    return this.#lists.get(id, 0, () =>
      listsInForce(this.#parts.observed(id).observed).map((list) => this.#parts.listId(list)),
    );
  }

  /** `number`: the list's own. */
  majorityOf(state: State, number: number): number {
    const id = state[this.#layout.observedAt] ?? 0;
    return this.#majorities.get(id, number, () => {
      const learnt = this.of(state).map((list) => this.#parts.list(list));
      const list = [listOf(this.#voters), ...learnt].find((one) => one.number === number);
      if (list === undefined)
        throw new Error(`bug: somebody voted under list ${number}, which is not in force`);
      return majorityOf(list);
    });
  }
}
