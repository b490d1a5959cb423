// Breaks: one protection of a rollout switched off, to see that the invariants notice.

import type { FaultName } from "./faults.ts";

interface Break {
  readonly text: string;
  readonly seenIn: string;
  /** What is said of the invariant that does not hold then. */
  readonly invariant: RegExp;
  /** What must break before it is noticed; absent: anything. */
  readonly faults?: readonly FaultName[];
}

export type BreakName =
  | "gate-confirmation"
  | "gate-disk"
  | "gate-memory"
  | "frozen-ack-set"
  | "recheck-before-swap"
  | "atomic-hold"
  | "exclusive-read"
  | "handoff-order"
  | "lease-clock"
  | "lease-from-answer"
  | "hold-confirmation"
  | "hold-expiry"
  | "hold-ignored"
  | "pin-ignored"
  | "sticky-catch-up"
  | "sticky-floor";

export const BREAKS: Readonly<Record<BreakName, Break>> = {
  "gate-confirmation": {
    text: "a driver takes it that every gate closed what the record closes, and does not wait for its word",
    seenIn: "rolling: 1 to 1, healthy, none",
    invariant: /^no-early-stop/,
  },
  "gate-disk": {
    text: "a gate confirms what is not on its disk yet",
    seenIn: "rolling, once: 1 to 1, healthy, proxy-cut",
    invariant: /^no-dispatch-to-closed/,
    faults: ["old-gate-crash", "old-host-crash"],
  },
  "gate-memory": {
    text: "a gate that starts again does not remember what it closed last",
    seenIn: "rolling, once: 1 to 1, healthy, proxy-cut",
    invariant: /^no-dispatch-to-closed/,
    faults: ["old-gate-crash", "old-host-crash"],
  },
  "frozen-ack-set": {
    text: "who does not answer is dropped from the ack set of the step",
    seenIn: "rolling, past the gates: 1 to 1, healthy, proxy-cut",
    invariant: /^no-early-stop/,
  },
  "recheck-before-swap": {
    text: "a swap that lost is made again over what stands, and what it rests on is not looked at again",
    seenIn: "rolling: 1 to 1, healthy, none",
    invariant: /^(one-register|no-early-stop)/,
  },
  "atomic-hold": {
    text: "an atomic cutover holds nothing: each proxy changes over as it learns",
    seenIn: "atomic: 1 to 1, healthy, none",
    invariant: /^atomic-cutover/,
  },
  "exclusive-read": {
    text: "a host starts a VM of an app that never runs twice by the record that it has, and asks no majority",
    seenIn: "handoff: 1 to 1, healthy, host-fenced",
    invariant: /^exclusive/,
  },
  "handoff-order": {
    text: "a host starts the new VM before the process of the old one has ended",
    seenIn: "handoff: 1 to 1, healthy, none",
    invariant: /^exclusive/,
  },
  "lease-clock": {
    text: "the clock of who has a lease is slower than who waits for its end allows for",
    seenIn: "handoff, leased: 1 to 1, healthy, host-parted",
    invariant: /^exclusive/,
  },
  "lease-from-answer": {
    text: "who has a lease counts from the answer, not from the sending of the question",
    seenIn: "handoff, leased: 1 to 1, healthy, host-parted",
    invariant: /^exclusive/,
  },
  "hold-confirmation": {
    text: "a hold is lifted for the new side before the gates of the old one said that they closed",
    seenIn: "atomic: 1 to 1, healthy, proxy-cut",
    invariant: /^atomic-cutover/,
  },
  "hold-expiry": {
    text: "what a proxy held for too long it sends on by the table that holds it",
    seenIn: "rolling: 1 to 1, healthy, holds",
    invariant: /^held-is-held/,
  },
  "hold-ignored": {
    text: "a proxy keeps nothing of what a record holds",
    seenIn: "atomic: 1 to 1, healthy, none",
    invariant: /^no-failed-request/,
  },
  "pin-ignored": {
    text: "what a page loads a proxy sends by shares alone, whatever release served the page",
    seenIn: "pinned: 1 to 1, healthy, browses",
    invariant: /^pinned/,
  },
  "sticky-catch-up": {
    text: "a proxy that is behind what a client shows sends its request all the same",
    seenIn: "sticky, rolling: 1 to 1, healthy, proxy-behind",
    invariant: /^no-going-back/,
    faults: ["old-host-cut", "old-host-cut-long"],
  },
  "sticky-floor": {
    text: "a proxy goes by shares alone, whatever release a client has seen",
    seenIn: "sticky, rolling: 2 to 2, healthy, none",
    invariant: /^no-going-back/,
    faults: ["new-vm-exits", "new-host-crash"],
  },
};

export const BREAK_NAMES = Object.keys(BREAKS) as readonly BreakName[];

export function isBreakName(name: string): name is BreakName {
  return Object.hasOwn(BREAKS, name);
}
