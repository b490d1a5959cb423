// Breaks: one protection of the register switched off each, to show that the model sees what it is for. They are done around the
// real code, as a faulty shell or disk would do them, or by its own switches (`isMixed`, `needsSettled`).

import { type Scenario, task } from "./scenario.ts";

export const BREAK_NAMES = [
  "ballot-reuse",
  "second-value",
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
  "early-second-voter-change-3-4-5",
  "settle-unasked",
  "settle-uncommitted",
  "former-list",
] as const;

export type BreakName = (typeof BREAK_NAMES)[number];

export interface Break {
  /** What goes without it, as `--help` tells it. */
  readonly text: string;
  /** Where it shows. */
  readonly scenario: Scenario;
  /** Others that it needs. */
  readonly also?: readonly BreakName[];
}

const BASE = { text: "", voters: "abc", restarts: 0, crashes: null };
const SWAPS = { ...BASE, name: "swaps", tasks: { a: [task("swap")], b: [task("swap")] } };
const CHANGES = { ...BASE, name: "changes", voters: "a", committedBy: "a", attempts: { a: 1, b: 1 } };

const BREAKS: Readonly<Record<BreakName, Break>> = {
  "ballot-reuse": {
    text: "a proposer that restarts forgets which rounds it reserved",
    scenario: {
      ...BASE,
      name: "reuse",
      tasks: { a: [task("swap"), task("swap")], b: [task("read")] },
      rounds: { b: 2 },
      attempts: { a: 1, b: 1 },
      restarts: 1,
    },
  },
  "second-value": {
    text: "it forgets them, and the voters take a second value at one ballot",
    scenario: {
      ...BASE,
      name: "reuse",
      tasks: { a: [task("swap"), task("swap")] },
      attempts: { a: 1 },
      restarts: 1,
    },
    also: ["ballot-reuse"],
  },
  "unsynced-acceptor": {
    text: "an answer leaves before what it says is on disk, and a crash takes that",
    scenario: { ...SWAPS, attempts: { a: 1, b: 1 }, crashes: 1 },
  },
  "unsynced-promise": {
    text: "a promise leaves before it is on disk, though what was accepted does not",
    scenario: { ...SWAPS, rounds: { b: 2 }, attempts: { a: 1, b: 1 }, crashes: 1 },
  },
  "unsynced-read": {
    text: "a voter shows what it accepted before that is on disk",
    scenario: {
      ...BASE,
      name: "read",
      tasks: { a: [task("swap")], b: [task("read")] },
      attempts: { a: 1, b: 1 },
      crashes: 1,
    },
  },
  "lost-disk": {
    text: "a voter that lost its disk comes back under its old id",
    scenario: { ...SWAPS, rounds: { b: 2 }, attempts: { a: 1, b: 1 } },
  },
  "hidden-vote": {
    text: "a promise does not show what was accepted",
    scenario: { ...SWAPS, rounds: { b: 2 }, attempts: { a: 1, b: 1 } },
  },
  "mixed-ballot-certificate": {
    text: "votes of several ballots are taken together",
    scenario: {
      ...BASE,
      name: "mixed",
      tasks: { a: [task("swap")], b: [task("swap"), task("read")] },
      attempts: { a: 1, b: 1 },
    },
  },
  "one-answer-read": {
    text: "a read believes the first that answers",
    scenario: {
      ...BASE,
      name: "read",
      tasks: { a: [task("swap")], b: [task("read")] },
      attempts: { a: 1, b: 1 },
    },
  },
  "late-answers": {
    text: "answers to an operation count for the next one of the same proposer",
    scenario: {
      ...BASE,
      name: "reads",
      tasks: { a: [task("swap")], b: [task("read"), task("read")] },
      attempts: { a: 1, b: 1 },
    },
  },
  "head-start-twice": {
    text: "a head start is kept though an operation has used it",
    scenario: {
      ...BASE,
      name: "head start",
      tasks: { a: [task("swap"), task("swap"), task("swap")], b: [task("read")] },
      attempts: { a: 1, b: 2 },
    },
  },
  "head-start-unpromised": {
    text: "voters say that they promise the next ballot, and do not",
    scenario: {
      ...BASE,
      name: "head start",
      tasks: { a: [task("swap"), task("swap")], b: [task("read"), task("swap")] },
      attempts: { a: 1, b: 1 },
    },
  },
  "unknown-as-unavailable": {
    text: "an operation that may have been committed is reported as one that was not",
    scenario: { ...SWAPS, attempts: { a: 1, b: 1 } },
  },
  "early-second-voter-change": {
    text: "voters change again before all registers were committed under the list: 1, 2, 3 voters",
    scenario: { ...CHANGES, tasks: { a: [task("+b"), task("+c")], b: [task("read")] } },
  },
  "early-second-voter-change-3-4-5": {
    text: "the same with 3, 4, 5 voters; some millions of states",
    scenario: {
      ...CHANGES,
      voters: "abc",
      committedBy: "ab",
      tasks: { a: [task("+d"), task("+e")], b: [task("read")] },
    },
    also: ["early-second-voter-change"],
  },
  "settle-unasked": {
    text: "a list is settled with the registers of one voter, not of a majority",
    scenario: { ...CHANGES, tasks: { a: [task("+b"), task("settle"), task("+c")], b: [task("read")] } },
  },
  "settle-uncommitted": {
    text: "a list is marked as settled though no register was committed under it",
    scenario: { ...CHANGES, tasks: { a: [task("+b"), task("settle"), task("+c")], b: [task("read")] } },
  },
  "former-list": {
    text: "a voter goes on to answer those that go by a former list",
    scenario: {
      ...CHANGES,
      voters: "abc",
      committedBy: "",
      tasks: { a: [task("-c"), task("settle"), task("-b"), task("read")], b: [task("swap")] },
    },
  },
};

export function isBreakName(text: string): text is BreakName {
  return (BREAK_NAMES as readonly string[]).includes(text);
}

export function breakOf(name: BreakName): Break {
  return BREAKS[name];
}
