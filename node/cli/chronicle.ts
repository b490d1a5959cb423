// Chronicle: an app that is watched, as lines: of each rollout what a deploy would say of it, and its end; then the next.

import type { AppView, RolloutView } from "../deploy/app-view.ts";
import { exitCodeOf, isOver } from "./exit-code.ts";
import { describeChange, describeEnd, Narrator } from "./narrator.ts";
import { plainText } from "./table.ts";

export class Chronicle {
  #narrator: Narrator | null = null;
  #rollout: string | null = null;
  /** Its end was told. */
  #isEnded = false;
  #isFirst = true;

  /** The lines that are new since the last call. `ageMs`: since `view` came. */
  step(view: AppView, ageMs: number, nowMs: number): readonly string[] {
    const { rollout } = view;
    const first = this.#isFirst ? this.#firstLines(view) : [];
    this.#isFirst = false;
    if (rollout === null) return first;
    const begun = this.#beginLines(rollout);
    if (this.#isEnded) return [...first, ...begun];
    const lines = (this.#narrator?.step(view, ageMs, nowMs) ?? []).map(({ text }) => text);
    const isEnd = isOver(rollout);
    this.#isEnded = isEnd;
    const end = isEnd ? describeEnd(view, exitCodeOf(rollout, view.leftovers)) : [];
    return [...first, ...begun, ...lines, ...end];
  }

  #firstLines({ app, release, epoch, rollout }: AppView): readonly string[] {
    const runs = rollout !== null && !isOver(rollout) ? "" : "; no rollout runs: waiting for the next";
    return [`${app}: ${release ?? "no release serves yet"}, epoch ${epoch}${runs}`];
  }

  /** One that was over when we came is none of ours. */
  #beginLines(rollout: RolloutView): readonly string[] {
    if (rollout.id === this.#rollout) return [];
    const isOfBefore = this.#rollout === null && this.#narrator === null && isOver(rollout);
    this.#rollout = rollout.id;
    this.#narrator = new Narrator(rollout.id);
    this.#isEnded = isOfBefore;
    if (isOfBefore) return [];
    const { id, driver, superseded } = rollout;
    const after = superseded === undefined ? "" : `, after ${superseded.id}, which it superseded`;
    return [plainText(`${id}: ${describeChange(rollout)}, driven by ${driver}${after}`)];
  }
}
