// Label: a text of the picture, with the room that it takes: so that a test can say that no two of them lie upon each other.

import { element } from "../../bench/convergence/report/svg.ts";

export interface Label {
  readonly x: number;
  /** Of the base line. */
  readonly y: number;
  readonly text: string;
  readonly size: number;
  readonly isBold?: boolean;
  readonly anchor?: "start" | "middle" | "end";
  readonly look?: "soft";
}

export interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** Of the size, for each character: wider than what system-ui is drawn in on Windows, macOS and Linux. */
const CHARACTER_WIDTH = 0.57;
const BOLD_WIDTH = 0.63;

export function textWidth(text: string, { size, isBold = false }: Pick<Label, "size" | "isBold">): number {
  return text.length * size * (isBold ? BOLD_WIDTH : CHARACTER_WIDTH);
}

export function boxOf(label: Label): Box {
  const width = textWidth(label.text, label);
  const shift = { start: 0, middle: width / 2, end: width }[label.anchor ?? "start"];
  const left = label.x - shift;
  return { left, right: left + width, top: label.y - label.size * 0.8, bottom: label.y + label.size * 0.2 };
}

export function areApart(one: Box, other: Box): boolean {
  return (
    one.right <= other.left || other.right <= one.left || one.bottom <= other.top || other.bottom <= one.top
  );
}

export function labelElement({ x, y, text, size, isBold, anchor, look }: Label): string {
  const classes = [isBold === true ? "b" : "", look ?? "", anchor?.[0] ?? ""].filter((name) => name !== "");
  const named = classes.length === 0 ? {} : { class: classes.join(" ") };
  return element("text", { x, y, "font-size": size, ...named }, escaped(text));
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

/** Lines of at most so many pixels, broken between words. */
export function wrapped(text: string, size: number, widthMax: number): readonly string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    const longer = last === undefined ? word : `${last} ${word}`;
    if (last !== undefined && textWidth(longer, { size }) <= widthMax) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}
