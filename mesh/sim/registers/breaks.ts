// Breaks: those of the register's model that show in a run by chance too. They are done around the real code, as a faulty shell or disk
// would do them, or by its own switches.

import { breakOf, type BreakName as ModelBreakName } from "../register-model/breaks.ts";

export type BreakName = Exclude<ModelBreakName, "second-value" | "early-second-voter-change-3-4-5">;

export const BREAK_NAMES: readonly BreakName[] = [
  "ballot-reuse",
  "unsynced-acceptor",
  "unsynced-promise",
  "unsynced-read",
  "lost-disk",
  "hidden-vote",
  "mixed-ballot-certificate",
  "one-answer-read",
  "late-answers",
  "head-start-twice",
  "head-start-unpromised",
  "unknown-as-unavailable",
  "early-second-voter-change",
  "settle-unasked",
  "settle-uncommitted",
  "former-list",
];

export function isBreakName(text: string): text is BreakName {
  return (BREAK_NAMES as readonly string[]).includes(text);
}

/** What goes without it, as `--help` tells it. */
export function textOf(name: BreakName): string {
  return breakOf(name).text;
}
