// Breaks: one protection of a rollout switched off, to see that the invariants notice.

import type { Fault, FaultName } from "./faults.ts";

/** Where it is noticed. */
export interface Seen {
  readonly scenario: string;
  /** By these faults it was noticed last: they are tried first. */
  readonly stored: readonly Fault[];
  /** What is said of the invariant that does not hold then. */
  readonly invariant: RegExp;
  /** Else each of these is tried before each event; absent: any. */
  readonly faults?: readonly FaultName[];
}

interface Break {
  readonly text: string;
  readonly seen: readonly Seen[];
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
  | "lease-watchdog"
  | "hold-confirmation"
  | "hold-expiry"
  | "hold-ignored"
  | "opening-early"
  | "pin-ignored"
  | "sticky-catch-up"
  | "sticky-floor";

export const BREAKS: Readonly<Record<BreakName, Break>> = {
  "gate-confirmation": {
    text: "a driver takes it that every gate closed what the record closes, and does not wait for its word",
    seen: [
      {
        scenario: "rolling: 1 to 1, healthy, none",
        stored: [{ kind: "old-host-gone", atEvent: 0 }],
        invariant: /^no-early-stop/,
      },
      {
        scenario: "pinned: 1 to 1, healthy, browses",
        stored: [{ kind: "old-host-gone", atEvent: 15 }],
        invariant: /^no-early-stop/,
      },
    ],
  },
  "gate-disk": {
    text: "a gate confirms what is not on its disk yet",
    seen: [
      {
        scenario: "rolling, once: 1 to 1, healthy, proxy-cut",
        stored: [{ kind: "old-host-crash", atEvent: 70 }],
        invariant: /^no-dispatch-to-closed/,
        faults: ["old-gate-crash", "old-host-crash"],
      },
    ],
  },
  "gate-memory": {
    text: "a gate that starts again does not remember what it closed last",
    seen: [
      {
        scenario: "rolling, once: 1 to 1, healthy, proxy-cut",
        stored: [{ kind: "old-gate-crash", atEvent: 76 }],
        invariant: /^no-dispatch-to-closed/,
        faults: ["old-gate-crash", "old-host-crash"],
      },
    ],
  },
  "frozen-ack-set": {
    text: "who does not answer is dropped from the ack set of the step",
    seen: [
      {
        scenario: "rolling, past the gates: 1 to 1, healthy, proxy-cut",
        stored: [],
        invariant: /^no-early-stop/,
      },
    ],
  },
  "recheck-before-swap": {
    text: "a swap that lost is made again over what stands, and what it rests on is not looked at again",
    seen: [
      {
        scenario: "rolling: 1 to 1, healthy, none",
        stored: [{ kind: "old-host-cut-long", atEvent: 6 }],
        invariant: /^(one-register|no-early-stop)/,
      },
      {
        scenario: "idle: 1 to 1, healthy, sleeps",
        stored: [{ kind: "old-host-cut-long", atEvent: 12 }],
        invariant: /^no-early-stop/,
      },
      {
        scenario: "rolling: 0 to 1, healthy, launches",
        stored: [{ kind: "old-host-cut-long", atEvent: 14 }],
        invariant: /^one-register/,
      },
    ],
  },
  "atomic-hold": {
    text: "an atomic cutover holds nothing: each proxy changes over as it learns",
    seen: [
      {
        scenario: "atomic: 1 to 1, healthy, none",
        stored: [{ kind: "old-host-cut", atEvent: 8 }],
        invariant: /^atomic-cutover/,
      },
    ],
  },
  "exclusive-read": {
    text: "a host starts a VM of an app that never runs twice by the record that it has, and asks no majority",
    seen: [{ scenario: "handoff: 1 to 1, healthy, host-fenced", stored: [], invariant: /^exclusive/ }],
  },
  "handoff-order": {
    text: "a host starts the new VM before the process of the old one has ended",
    seen: [{ scenario: "handoff: 1 to 1, healthy, none", stored: [], invariant: /^exclusive/ }],
  },
  "lease-clock": {
    text: "the clock of who has a lease is slower than who waits for its end allows for",
    seen: [
      { scenario: "handoff, leased: 1 to 1, healthy, host-parted", stored: [], invariant: /^exclusive/ },
    ],
  },
  "lease-from-answer": {
    text: "who has a lease counts from the answer, not from the sending of the question",
    seen: [
      { scenario: "handoff, leased: 1 to 1, healthy, host-parted", stored: [], invariant: /^exclusive/ },
    ],
  },
  "lease-watchdog": {
    text: "what has a lease runs on when that is over",
    seen: [
      { scenario: "handoff, leased: 1 to 1, healthy, host-parted", stored: [], invariant: /^exclusive/ },
    ],
  },
  "hold-confirmation": {
    text: "a hold is lifted for the new side before the gates of the old one said that they closed",
    seen: [{ scenario: "atomic: 1 to 1, healthy, proxy-cut", stored: [], invariant: /^atomic-cutover/ }],
  },
  "hold-expiry": {
    text: "what a proxy held for too long it sends on by the table that holds it",
    seen: [{ scenario: "rolling: 1 to 1, healthy, holds", stored: [], invariant: /^held-is-held/ }],
  },
  "hold-ignored": {
    text: "a proxy keeps nothing of what a record holds",
    seen: [
      {
        scenario: "atomic: 1 to 1, healthy, none",
        stored: [{ kind: "driver-crash-for-good", atEvent: 0 }],
        invariant: /^no-failed-request/,
      },
      {
        scenario: "idle: 1 to 1, healthy, sleeps",
        stored: [{ kind: "proxy-cut", atEvent: 16 }],
        invariant: /^no-failed-request/,
      },
      {
        scenario: "rolling: 0 to 1, healthy, launches",
        stored: [{ kind: "supersede", atEvent: 48 }],
        invariant: /^no-failed-request/,
      },
    ],
  },
  "opening-early": {
    text: "a proxy sends what is held to a VM that is opening before its host said that it is healthy",
    seen: [
      {
        scenario: "handoff: 1 to 1, healthy, none",
        stored: [],
        invariant: /^(held-is-held|no-failed-request)/,
      },
      {
        scenario: "idle: 1 to 1, healthy, sleeps",
        stored: [],
        invariant: /^(held-is-held|no-failed-request)/,
      },
    ],
  },
  "pin-ignored": {
    text: "what a page loads a proxy sends by shares alone, whatever release served the page",
    seen: [{ scenario: "pinned: 1 to 1, healthy, browses", stored: [], invariant: /^pinned/ }],
  },
  "sticky-catch-up": {
    text: "a proxy that is behind what a client shows sends its request all the same",
    seen: [
      {
        scenario: "sticky, rolling: 1 to 1, healthy, proxy-behind",
        stored: [{ kind: "old-host-cut-long", atEvent: 13 }],
        invariant: /^no-going-back/,
        faults: ["old-host-cut", "old-host-cut-long"],
      },
    ],
  },
  "sticky-floor": {
    text: "a proxy goes by shares alone, whatever release a client has seen",
    seen: [
      {
        scenario: "sticky, rolling: 2 to 2, healthy, none",
        stored: [{ kind: "new-vm-exits", atEvent: 44 }],
        invariant: /^no-going-back/,
        faults: ["new-vm-exits", "new-host-crash"],
      },
    ],
  },
};

export const BREAK_NAMES = Object.keys(BREAKS) as readonly BreakName[];

export function isBreakName(name: string): name is BreakName {
  return Object.hasOwn(BREAKS, name);
}
