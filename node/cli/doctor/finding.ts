// Finding: what one check of `grapevine doctor` came to. Judges make them from facts; nothing here looks at anything.

export type Level = "ok" | "warn" | "fail";

export interface Finding {
  /** One word: what was looked at. */
  readonly check: string;
  readonly level: Level;
  /** What was found, with figures. */
  readonly found: string;
  /** What follows from it; null: it is as it should be. */
  readonly means: string | null;
  /** What to type or to do next; null: nothing. */
  readonly next: string | null;
}

/** What was not looked at, and why: silence is no "ok". */
export interface Skipped {
  readonly check: string;
  readonly why: string;
}

/** Of one check that is not ok. */
export interface Trouble {
  readonly found: string;
  readonly means: string;
  readonly next: string;
}

export function fine(check: string, found: string): Finding {
  return { check, level: "ok", found, means: null, next: null };
}

export function warning(check: string, trouble: Trouble): Finding {
  return { check, level: "warn", ...trouble };
}

export function failure(check: string, trouble: Trouble): Finding {
  return { check, level: "fail", ...trouble };
}

export function countOf(findings: readonly Finding[], level: Level): number {
  return findings.filter((finding) => finding.level === level).length;
}
