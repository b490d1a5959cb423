// Breaks: those of the register's model that show in a run by chance too. They are done around the real code, as a faulty shell or disk
// would do them, or by its own switches.

import { breakOf as breakOfModel, type BreakName as ModelBreakName } from "../register-model/breaks.ts";

/** The others need a coincidence that is too rare: the model goes to it. */
type TooRare = "second-value" | "unsynced-promise" | "settle-unasked" | "early-second-voter-change-3-4-5";

export type BreakName = Exclude<ModelBreakName, TooRare>;

export interface Break {
  /** What goes without it, as `--help` tells it. */
  readonly text: string;
  /** With so many apps it is seen within so many seeds from 1 on. Fewer apps meet more often; each list is settled sooner. */
  readonly apps: number;
  readonly seeds: number;
}

const WITHIN: Readonly<Record<BreakName, Omit<Break, "text">>> = {
  "ballot-reuse": { apps: 2, seeds: 40 },
  "unsynced-acceptor": { apps: 40, seeds: 2 },
  "unsynced-read": { apps: 40, seeds: 6 },
  "lost-disk": { apps: 8, seeds: 20 },
  "hidden-vote": { apps: 40, seeds: 2 },
  "mixed-ballot-certificate": { apps: 40, seeds: 6 },
  "one-answer-read": { apps: 40, seeds: 2 },
  "late-answers": { apps: 1, seeds: 20 },
  "head-start-twice": { apps: 8, seeds: 20 },
  "head-start-unpromised": { apps: 8, seeds: 20 },
  "unknown-as-unavailable": { apps: 40, seeds: 6 },
  "early-second-voter-change": { apps: 40, seeds: 2 },
  "settle-uncommitted": { apps: 40, seeds: 2 },
  "former-list": { apps: 1, seeds: 40 },
};

export const BREAK_NAMES: readonly BreakName[] = Object.keys(WITHIN) as BreakName[];

export function isBreakName(text: string): text is BreakName {
  return (BREAK_NAMES as readonly string[]).includes(text);
}

export function breakOf(name: BreakName): Break {
  return { text: breakOfModel(name).text, ...WITHIN[name] };
}
