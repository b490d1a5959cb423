// Register history: what clients of registers saw, and what must hold of it. Whether the order of it can be explained is judged by
// `mesh/sim/linearizability.ts`; that no acknowledged commit is lost, once more and more simply, by what stands in the end.

import {
  describeNotLinearizable,
  findNotLinearizable,
  type RegisterOperation,
  type Shown,
} from "../../mesh/sim/linearizability.ts";
import type { TimedOutcome, ToldRecord } from "./register-protocol.ts";

/** What a client asked for. */
export interface Asked {
  readonly client: string;
  readonly register: string;
  /** Null: a read. */
  readonly swap: { readonly expectedEpoch: number; readonly release: number } | null;
}

/** `timed` null: its member was gone before it answered. `askedUs`: when it was asked. */
export function operationOf(
  { client, register, swap }: Asked,
  askedUs: number,
  timed: TimedOutcome | null,
): RegisterOperation {
  const called = {
    register,
    client,
    calledAt: timed?.calledUs ?? askedUs,
    returnedAt: timed?.returnedUs ?? null,
  };
  const { outcome } = timed ?? { outcome: { kind: "unknown" } as const };
  if (swap === null) {
    const shown = outcome.kind === "read" ? shownOf(outcome.shown) : undefined;
    const read = shown === undefined ? ({ kind: "unknown" } as const) : ({ kind: "ok", shown } as const);
    return { ...called, call: "read", outcome: read };
  }
  const { expectedEpoch } = swap;
  return { ...called, call: "swap", expectedEpoch, value: String(swap.release), outcome: swapped(outcome) };
}

type SwapOutcome = Extract<RegisterOperation, { call: "swap" }>["outcome"];

function swapped(outcome: TimedOutcome["outcome"]): SwapOutcome {
  switch (outcome.kind) {
    case "committed":
      return { kind: "ok" };
    case "conflict":
      return { kind: "conflict", shown: shownOf(outcome.shown) };
    // The register says of both that nothing was changed.
    case "unavailable":
    case "refused":
      return { kind: "fail" };
    case "unknown":
    case "read":
      return { kind: "unknown" };
  }
}

function shownOf(record: ToldRecord | null): Shown | null {
  return record === null ? null : { epoch: record.epoch, value: String(record.release) };
}

/** What is wrong with it; empty: nothing. `ends`: by register, what stood when all was over. */
export function judge(
  history: readonly RegisterOperation[],
  ends: ReadonlyMap<string, Shown | null>,
): readonly string[] {
  const fault = findNotLinearizable(history);
  return [...(fault === null ? [] : [describeNotLinearizable(fault)]), ...lostCommits(history, ends)];
}

function lostCommits(
  history: readonly RegisterOperation[],
  ends: ReadonlyMap<string, Shown | null>,
): readonly string[] {
  const committed = new Map<string, string>();
  return history.flatMap((operation) => {
    if (operation.call !== "swap" || operation.outcome.kind !== "ok") return [];
    const { register, expectedEpoch, value } = operation;
    const [epoch, end] = [expectedEpoch + 1, ends.get(register) ?? null];
    const place = `${register} ${epoch}`;
    const other = committed.get(place);
    committed.set(place, value);
    const isLost = end === null || end.epoch < epoch || (end.epoch === epoch && end.value !== value);
    return [
      ...(other === undefined ? [] : [`${register}: ${other} and ${value} were both committed as ${epoch}`]),
      ...(isLost
        ? [`${register}: ${value} was committed as ${epoch}, but ${end?.epoch} ${end?.value} stands`]
        : []),
    ];
  });
}

/** The longest time without a commit while one was possible. Microseconds of one clock. */
export class LongestGap {
  #us = 0;
  /** Since when; undefined: nothing can be committed now. */
  #sinceUs: number | undefined;

  get ms(): number {
    return this.#us / 1_000;
  }

  committed(nowUs: number): void {
    this.#count(nowUs);
    if (this.#sinceUs !== undefined) this.#sinceUs = nowUs;
  }

  possible(isPossible: boolean, nowUs: number): void {
    if (isPossible === (this.#sinceUs !== undefined)) return;
    this.#count(nowUs);
    this.#sinceUs = isPossible ? nowUs : undefined;
  }

  #count(nowUs: number): void {
    if (this.#sinceUs !== undefined) this.#us = Math.max(this.#us, nowUs - this.#sinceUs);
  }
}
