// Scenarios: what `npm run model:register` explores to the end: together all kinds of operation, and each kind of fault.

import { type Scenario, task } from "./scenario.ts";

const BASE = { voters: "abc", restarts: 0, crashes: null };

/** With the figures of the whole run in README.md. The largest first, so that two cores end together. */
export const SCENARIOS: readonly Scenario[] = [
  {
    ...BASE,
    name: "head-start",
    text: "three swaps one after the other with a head start, and a swap that comes between",
    tasks: { a: [task("swap"), task("swap"), task("swap")], b: [task("swap")] },
    attempts: { a: 1, b: 2 },
  },
  {
    ...BASE,
    name: "crashes",
    text: "acceptors whose memory and disk differ until a sync, and one crash",
    tasks: { a: [task("swap")], b: [task("swap")] },
    rounds: { b: 2 },
    attempts: { a: 1, b: 1 },
    crashes: 1,
  },
  {
    ...BASE,
    name: "voters-1-2-3",
    text: "a second and a third voter, both lists settled, and a swap by a proposer that goes by any of them",
    voters: "a",
    committedBy: "a",
    tasks: { a: [task("+b"), task("settle"), task("+c"), task("settle")], b: [task("swap")] },
    attempts: { a: 1, b: 1 },
  },
  {
    ...BASE,
    name: "reads",
    text: "two swaps and two reads",
    tasks: { a: [task("swap"), task("swap")], b: [task("read"), task("read")] },
    attempts: { a: 1, b: 2 },
  },
  {
    ...BASE,
    name: "read-then-swap",
    text: "two swaps, and a read with a swap on what it showed",
    tasks: { a: [task("swap"), task("swap")], b: [task("read"), task("swap")] },
    attempts: { a: 1, b: 2 },
  },
  {
    ...BASE,
    name: "duel",
    text: "two swaps that outbid each other, and a restart of each proposer",
    tasks: { a: [task("swap")], b: [task("swap")] },
    attempts: { a: 2, b: 2 },
    restarts: 1,
  },
  {
    ...BASE,
    name: "voters-3-2-1",
    text: "two voters less, the first list settled in between, and a swap by a proposer that goes by any of them",
    tasks: { a: [task("-c"), task("settle"), task("-b"), task("read")], b: [task("swap")] },
    attempts: { a: 1, b: 1 },
  },
  {
    ...BASE,
    name: "restarts",
    text: "two swaps each, and a restart of each proposer",
    tasks: { a: [task("swap"), task("swap")], b: [task("swap"), task("swap")] },
    attempts: { a: 1, b: 1 },
    restarts: 1,
  },
  {
    ...BASE,
    name: "voters-duel",
    text: "two changes of voters at once: one is the second list",
    tasks: { a: [task("+d")], b: [task("-c")] },
    rounds: { b: 2 },
    attempts: { a: 1, b: 1 },
  },
  {
    ...BASE,
    name: "delete",
    text: "a swap, a deletion, a swap: the epoch goes on; and a read",
    tasks: { a: [task("swap"), task("delete"), task("swap")], b: [task("read")] },
    attempts: { a: 1, b: 1 },
  },
  {
    ...BASE,
    name: "seed",
    text: "a register that comes back from a backup at epoch 3, and a swap of an empty one",
    tasks: { a: [{ kind: "seed", epoch: 3 }, task("swap")], b: [task("swap")] },
    attempts: { a: 1, b: 2 },
  },
  {
    ...BASE,
    name: "guess",
    text: "a swap that expects what nobody was told, built on what may never be committed",
    tasks: { a: [task("swap")], b: [task("guess"), task("swap")] },
    attempts: { a: 2, b: 1 },
  },
  {
    ...BASE,
    name: "refusing",
    text: "two voters that cannot read what one proposer writes",
    tasks: { a: [task("swap"), task("swap")], b: [task("swap")] },
    rounds: { b: 2 },
    attempts: { a: 1, b: 1 },
    refusing: { voters: "bc", recordsOf: "a" },
  },
  {
    ...BASE,
    name: "refused",
    text: "no voter can read what one proposer writes",
    tasks: { a: [task("swap"), task("swap")], b: [task("swap")] },
    attempts: { a: 1, b: 2 },
    refusing: { voters: "abc", recordsOf: "a" },
  },
  {
    ...BASE,
    name: "recommit",
    text: "a swap, and a recommit before another",
    tasks: { a: [task("swap")], b: [task("recommit"), task("swap")] },
    attempts: { a: 1, b: 2 },
  },
  {
    ...BASE,
    name: "three-proposers",
    text: "a swap each",
    tasks: { a: [task("swap")], b: [task("swap")], c: [task("swap")] },
    attempts: { a: 1, b: 1, c: 1 },
  },
  {
    ...BASE,
    name: "five-voters",
    text: "a swap each",
    voters: "abcde",
    tasks: { a: [task("swap")], b: [task("swap")] },
    rounds: { b: 2 },
    attempts: { a: 1, b: 1 },
  },
];

/** For `--large`: some minutes. */
export const LARGE_SCENARIOS: readonly Scenario[] = [
  {
    ...BASE,
    name: "large-duel",
    text: "two swaps and one, two ballots each",
    tasks: { a: [task("swap"), task("swap")], b: [task("swap")] },
    attempts: { a: 2, b: 2 },
  },
  {
    ...BASE,
    name: "large-crashes",
    text: "acceptors whose memory and disk differ until a sync, one crash, and a second ballot",
    tasks: { a: [task("swap")], b: [task("swap")] },
    attempts: { a: 1, b: 2 },
    crashes: 1,
  },
  {
    ...BASE,
    name: "large-voters-duel",
    text: "two changes of voters at once, one of them settled, and a swap",
    voters: "ab",
    committedBy: "ab",
    tasks: { a: [task("+c"), task("settle")], b: [task("-a"), task("swap")] },
    rounds: { b: 2 },
    attempts: { a: 1, b: 1 },
  },
];
