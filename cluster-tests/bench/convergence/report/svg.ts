// SVG: the few pieces that the plots are made of. Text that comes from elsewhere is escaped; figures are rounded to a tenth of a pixel.

export type Attributes = Readonly<Record<string, string | number>>;

export function element(name: string, attributes: Attributes, ...children: readonly string[]): string {
  const list = Object.entries(attributes).map(([key, value]) => ` ${key}="${escapeText(text(value))}"`);
  return `<${name}${list.join("")}>${children.join("")}</${name}>`;
}

export function escapeText(raw: string): string {
  return raw.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}

function text(value: string | number): string {
  return typeof value === "number" ? String(Math.round(value * 10) / 10) : value;
}

export interface Scale {
  (value: number): number;
  readonly from: number;
  readonly to: number;
}

/** Logarithmic, from the value `from` at `start` to `to` at `end`; what lies outside is put on the border. */
export function logScale(
  { from, to }: { readonly from: number; readonly to: number },
  { start, end }: { readonly start: number; readonly end: number },
): Scale {
  const width = Math.log(to) - Math.log(from);
  const at = (value: number): number => {
    const share = (Math.log(Math.max(value, from)) - Math.log(from)) / width;
    return start + Math.min(1, share) * (end - start);
  };
  return Object.assign(at, { from, to });
}

/** 1, 2, 5 of each power of ten within the scale. */
export function logTicks({ from, to }: Pick<Scale, "from" | "to">): readonly number[] {
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(from)); power <= Math.ceil(Math.log10(to)); power += 1) {
    for (const step of [1, 2, 5]) ticks.push(Number((step * 10 ** power).toPrecision(1)));
  }
  return ticks.filter((tick) => tick >= from && tick <= to);
}

/** The next round figure outside: 1, 2 or 5 of a power of ten. */
export function roundOut(value: number, direction: "down" | "up"): number {
  const range = { from: value / 10, to: value * 10 };
  const ticks = logTicks(range);
  const found =
    direction === "down" ? ticks.findLast((tick) => tick <= value) : ticks.find((tick) => tick >= value);
  return found ?? value;
}

/** "0.5 ms", "20 ms", "2 s". */
export function tickMs(ms: number): string {
  return ms >= 1_000 ? `${ms / 1_000} s` : `${ms} ms`;
}
