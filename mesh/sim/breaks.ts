// Breaks: one protection switched off each, to show that the checks see what it is for. Some are switched off here, at the
// network and the disk; the others are the replica's own switches (its option `protections`).

import type { Protections } from "../core/protections.ts";
import type { Invariant } from "./invariants.ts";

export interface Break {
  /** What goes without it, as `--help` tells it. */
  readonly text: string;
  /** What fails, with the profile `chaos`; any of these. */
  readonly breaks: readonly Invariant[];
  /** The switches in the replica's `protections`; empty: it is done by the simulator. */
  readonly coreSwitches: readonly (keyof Protections)[];
}

export const BREAK_NAMES = [
  "gap-pull",
  "anti-entropy",
  "gossip",
  "start-id",
  "raise",
  "tombstone-grace",
  "build-aside",
  "root-check",
] as const;

export type BreakName = (typeof BREAK_NAMES)[number];

const BREAKS: Readonly<Record<BreakName, Break>> = {
  "gap-pull": {
    text: "a gap is not asked for: it is closed by anti-entropy alone",
    breaks: ["prompt"],
    coreSwitches: ["gapPull"],
  },
  "anti-entropy": {
    text: "no digests: what gossip did not bring never comes",
    breaks: ["converges", "no-lost-entry"],
    coreSwitches: ["antiEntropy"],
  },
  gossip: {
    text: "gossip is lost: changes travel by anti-entropy alone",
    breaks: ["prompt"],
    coreSwitches: [],
  },
  "start-id": {
    text: "all starts have one start id: a lost disk repeats versions",
    breaks: ["single-writer", "no-resurrection"],
    coreSwitches: [],
  },
  raise: {
    text: "an owner that is shown writes it did not do keeps its incarnation",
    breaks: ["converges", "no-lost-entry"],
    coreSwitches: [],
  },
  "tombstone-grace": {
    // The root check alone repairs what this lets through before anybody sees it.
    text: "tombstones are collected at once, without a compacted version, and no root is checked",
    breaks: ["no-resurrection"],
    coreSwitches: ["tombstoneGrace", "rootCheck"],
  },
  "build-aside": {
    text: "a new start or a reset empties the state in force",
    breaks: ["no-empty-table", "single-writer"],
    coreSwitches: ["buildAside"],
  },
  "root-check": {
    text: "signature and root hash of a state are not checked before it is in force",
    breaks: ["single-writer", "no-resurrection"],
    coreSwitches: ["rootCheck"],
  },
};

export function isBreakName(text: string): text is BreakName {
  return (BREAK_NAMES as readonly string[]).includes(text);
}

export function breakOf(name: BreakName): Break {
  return BREAKS[name];
}
