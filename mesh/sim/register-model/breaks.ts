// Breaks: one protection of the register switched off each, to show that the model sees what it is for. They are done around the
// real code, as a faulty shell or disk would do them, or by its own switches (`isMixed`, `needsSettled`).

export interface Break {
  /** What goes wrong without it, as `--help` tells it. */
  readonly text: string;
  /** The scenario in which it shows. */
  readonly scenario: string;
}

export const BREAK_NAMES = [
  "ballot-reuse",
  "second-value",
  "unsynced-acceptor",
  "unsynced-promise",
  "unsynced-read",
  "lost-disk",
  "mixed-ballot-certificate",
  "one-answer-read",
  "late-answers",
  "hidden-vote",
  "head-start-twice",
  "head-start-unpromised",
  "head-start-over-change",
  "unknown-as-unavailable",
  "early-second-voter-change",
  "early-second-voter-change-3-4-5",
  "former-list",
  "settled-unheard",
] as const;

export type BreakName = (typeof BREAK_NAMES)[number];
