// Time axis: from milliseconds to a place in the picture. Steps last from milliseconds to minutes, so each is at least so wide that its name
// can be read; what is left of the width goes by time. Within a step time runs evenly.

export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
  /** Where it is drawn. */
  readonly left: number;
  readonly right: number;
}

export interface TimeAxis {
  /** One for each of the borders but the last, in order. */
  readonly spans: readonly Span[];
  /** What lies outside is put on the border. */
  at(ms: number): number;
}

/** `bordersMs` only grow; between two of them is a span, each with its least width. */
export function timeAxis(
  bordersMs: readonly number[],
  {
    left,
    right,
    widthsMin,
  }: { readonly left: number; readonly right: number; readonly widthsMin: readonly number[] },
): TimeAxis {
  const times = bordersMs.slice(1).map((toMs, index) => toMs - (bordersMs[index] ?? toMs));
  const allMs = times.reduce((sum, ms) => sum + ms, 0);
  const spare = right - left - widthsMin.reduce((sum, width) => sum + width, 0);
  if (spare < 0 || allMs <= 0) throw new Error(`time axis: no room for ${times.length} spans, or no time`);
  const spans: Span[] = [];
  let place = left;
  for (const [index, ms] of times.entries()) {
    const end = place + (widthsMin[index] ?? 0) + (spare * ms) / allMs;
    const fromMs = bordersMs[index] ?? 0;
    spans.push({ fromMs, toMs: fromMs + ms, left: place, right: end });
    place = end;
  }
  return { spans, at: (ms) => placeOf(spans, ms) };
}

function placeOf(spans: readonly Span[], ms: number): number {
  const span = spans.find(({ toMs }) => ms < toMs) ?? spans.at(-1);
  if (span === undefined) return 0;
  const share = (ms - span.fromMs) / Math.max(1e-6, span.toMs - span.fromMs);
  return span.left + Math.min(1, Math.max(0, share)) * (span.right - span.left);
}
