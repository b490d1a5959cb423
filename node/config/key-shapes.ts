// Key shapes: what the tables of an app file have in common.

export const HOUR_MS = 3_600_000;

export interface TimeRange {
  readonly minMs: number;
  readonly maxMs: number;
}

/** A wait before a rollout returns to old; also what `--wait-timeout` takes. */
export const waitTimeoutRange: TimeRange = { minMs: 1_000, maxMs: 24 * HOUR_MS };

/** Of what a person may also wish not to wait at all. */
export const upToAnHour: TimeRange = { minMs: 0, maxMs: HOUR_MS };

export interface KeyProblem {
  readonly key: string;
  readonly message: string;
}

/** The text for what is no table; an unknown key in a table keeps its own. */
export function notTable(
  example: string,
): (issue: { readonly code?: string | undefined }) => string | undefined {
  return (issue) => (issue.code === "invalid_type" ? `must be a table, for example ${example}` : undefined);
}
