// Live screen: an app that is watched on a terminal: what `status APP` prints, drawn again where it was.

import type { AppView } from "../deploy/app-view.ts";
import { agedStep, agedWaiting } from "./aged.ts";
import { appText } from "./tables.ts";

const HOME = "\u001b[H";
const END_OF_LINE = "\u001b[K";
const END_OF_SCREEN = "\u001b[J";
const FOOT = "Ctrl-C ends this view; a rollout goes on";

/** A terminal that was told no size says 0 of both: one in a container, or behind a serial line. */
export interface ScreenSize {
  readonly rows?: number;
  readonly columns?: number;
}

/** `ageMs`: since `view` came. Longer lines, and lines for which there is no row, are cut. */
export function screenOf(view: AppView, ageMs: number, size: ScreenSize): string {
  const [rows, columns] = [size.rows || 24, size.columns || 80];
  const lines = appText(aged(view, ageMs)).trimEnd().split("\n");
  const room = Math.max(1, rows - 2);
  const shown =
    lines.length <= room ? lines : [...lines.slice(0, room - 1), `… ${lines.length - room + 1} more`];
  const drawn = [...shown, "", FOOT].map(
    (line) => `${Array.from(line).slice(0, columns).join("")}${END_OF_LINE}`,
  );
  return `${HOME}${drawn.join("\n")}${END_OF_SCREEN}`;
}

/** Its waits last longer by now. */
function aged(view: AppView, ageMs: number): AppView {
  const { rollout, leftovers } = view;
  const step = rollout?.step == null ? null : agedStep(rollout.step, ageMs);
  return {
    ...view,
    leftovers: leftovers.map((waiting) => agedWaiting(waiting, ageMs)),
    rollout: rollout === null ? null : { ...rollout, step },
  };
}
