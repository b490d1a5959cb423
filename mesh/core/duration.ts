// Duration: a count of milliseconds as people write it, and as they are told it.

const DURATION = /^(\d{1,12})(ms|s|m|h)$/;
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** Milliseconds of "500ms", "30s", "5m", "1h"; undefined if it is none of these. */
export function parseDuration(text: string): number | undefined {
  const [, count, unit] = DURATION.exec(text) ?? [];
  const unitMs = UNIT_MS[unit ?? ""];
  return count === undefined || unitMs === undefined ? undefined : Number(count) * unitMs;
}

/** The largest unit that needs no fraction: "90s", "2m", "250ms". */
export function describeDuration(durationMs: number): string {
  if (durationMs === 0) return "0s";
  const unit = (["h", "m", "s"] as const).find((name) => durationMs % (UNIT_MS[name] ?? 1) === 0) ?? "ms";
  return `${durationMs / (UNIT_MS[unit] ?? 1)}${unit}`;
}
