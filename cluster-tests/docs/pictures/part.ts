// Part: a piece of the picture, and what several pieces draw.

import { element } from "../../bench/convergence/report/svg.ts";
import type { Label } from "./label.ts";

/** Some shapes, in the order in which they lie upon each other, and the texts above all of them. */
export interface Part {
  readonly shapes: readonly string[];
  readonly labels: readonly Label[];
  /** Where what follows begins. */
  readonly bottom: number;
}

/** Where a part goes. */
export interface Frame {
  readonly top: number;
  /** Names end there. */
  readonly nameRight: number;
}

/** That somebody has answered. */
export function diamond(x: number, y: number): string {
  const round = (value: number) => Math.round(value * 10) / 10;
  return element("path", { d: `M${round(x - 5)} ${round(y)}l5 -5 5 5 -5 5z`, class: "ack" });
}
