// Linearizability: whether what clients saw of registers has one order in which each operation happened at one moment between its
// call and its return. Wing and Gong's search ("Testing and verifying concurrent objects", JPDC 17, 1993) with Lowe's memory of
// configurations ("Testing for linearizability", CPCE 29(4), 2017), register by register, which suffices (P-compositionality: Horn
// and Kroening, "Faster linearizability checking via P-compositionality", FORTE 2015). Knows nothing of mesh/register.

/** What a register holds. */
export interface Shown {
  readonly epoch: number;
  readonly value: string;
}

interface Called {
  readonly register: string;
  /** For messages. */
  readonly client: string;
  /** On one clock for all. What begins when another ends may have been at the same time. */
  readonly calledAt: number;
  /** Null: it never returned. */
  readonly returnedAt: number | null;
}

interface Read extends Called {
  readonly call: "read";
  /** `ok`: what stands; null: nothing ever did. `unknown`: it says nothing. */
  readonly outcome:
    | { readonly kind: "ok"; readonly shown: Shown | null }
    | { readonly kind: "fail" | "unknown" };
}

interface Swap extends Called {
  readonly call: "swap";
  /** 0: that nothing ever stood. */
  readonly expectedEpoch: number;
  readonly value: string;
  /**
   * - `ok`: it stands, at the expected epoch + 1.
   * - `conflict`: another epoch stood; `shown` is what did.
   * - `fail`: it never happened and never will.
   * - `unknown`: it may happen at any time from its call on, or never.
   */
  readonly outcome:
    | { readonly kind: "ok" | "fail" | "unknown" }
    | { readonly kind: "conflict"; readonly shown: Shown | null };
}

export type RegisterOperation = Read | Swap;

/** Why no order explains a register's history. */
export interface NotLinearizable {
  readonly register: string;
  /** The operation that fits nowhere, after the longest order that was found of those before it. */
  readonly operation: RegisterOperation;
  /** Operations that were in that order. */
  readonly explained: number;
  /** What stood then. */
  readonly standing: Shown | null;
}

/** Null: each register's history is linearizable. Else the first that is not, by name. */
export function findNotLinearizable(history: readonly RegisterOperation[]): NotLinearizable | null {
  const registers = [...new Set(history.map(({ register }) => register))].sort();
  for (const register of registers) {
    const fault = new Search(history.filter((operation) => operation.register === register)).run();
    if (fault !== null) return { register, ...fault };
  }
  return null;
}

export function describeNotLinearizable(fault: NotLinearizable): string {
  const { register, operation, explained, standing } = fault;
  const before = `after ${explained} operations, ${describeShown(standing)} stands`;
  return `${register}: no order explains ${describeOperation(operation)} (${before})`;
}

function describeOperation(operation: RegisterOperation): string {
  const { client, calledAt, returnedAt, outcome } = operation;
  const call =
    operation.call === "read"
      ? "read"
      : `swap(${operation.expectedEpoch}, ${JSON.stringify(operation.value)})`;
  const shown = "shown" in outcome ? ` ${describeShown(outcome.shown)}` : "";
  return `${client}'s ${call} from ${calledAt} to ${returnedAt ?? "never"}: ${outcome.kind}${shown}`;
}

function describeShown(shown: Shown | null): string {
  return shown === null ? "nothing" : `${shown.epoch} ${JSON.stringify(shown.value)}`;
}

/** What stands after the operation, if it may happen when `standing` does; undefined: it may not. */
export function apply(operation: RegisterOperation, standing: Shown | null): Shown | null | undefined {
  const { outcome } = operation;
  if (operation.call === "read" || outcome.kind === "conflict") {
    if (!("shown" in outcome) || !isSame(outcome.shown, standing)) return undefined;
    const isExpected = operation.call === "swap" && operation.expectedEpoch === (standing?.epoch ?? 0);
    return isExpected ? undefined : standing;
  }
  const { expectedEpoch, value } = operation;
  return (standing?.epoch ?? 0) === expectedEpoch ? { epoch: expectedEpoch + 1, value } : undefined;
}

function isSame(left: Shown | null, right: Shown | null): boolean {
  return left?.epoch === right?.epoch && left?.value === right?.value;
}

/** Whether the search has to place it; an unknown swap may be placed, the others say nothing. */
export function hasToHappen({ outcome }: RegisterOperation): boolean {
  return outcome.kind === "ok" || outcome.kind === "conflict";
}

export function mayHappen(operation: RegisterOperation): boolean {
  return hasToHappen(operation) || (operation.call === "swap" && operation.outcome.kind === "unknown");
}

/** A call or a return, in the order of time; a list from which what has happened is taken out and put back. */
interface Moment {
  readonly operation: RegisterOperation;
  /** By time of the call. */
  readonly number: number;
  /** Of a call that has to happen: its return. Null: there is none, or this is one. */
  readonly end: Moment | null;
  readonly isCall: boolean;
  before: Moment | null;
  after: Moment | null;
}

interface Happened {
  readonly moment: Moment;
  readonly standing: Shown | null;
  /** The highest number that had happened before. */
  readonly newest: number;
}

class Search {
  #head: Moment | null;
  #standing: Shown | null = null;
  #newest = -1;
  #missing: number;
  /** Lowe: configurations from which nothing more is to be learnt. */
  readonly #met = new Set<string>();
  readonly #happened: Happened[] = [];

  constructor(history: readonly RegisterOperation[]) {
    const operations = history.filter(mayHappen).sort((left, right) => left.calledAt - right.calledAt);
    this.#missing = operations.filter(hasToHappen).length;
    this.#head = linked(momentsOf(operations));
  }

  run(): Omit<NotLinearizable, "register"> | null {
    let furthest: Omit<NotLinearizable, "register"> | null = null;
    let moment = this.#head;
    while (this.#missing > 0) {
      if (moment?.isCall === true) {
        moment = this.#happen(moment) ? this.#head : moment.after;
        continue;
      }
      // Its operation has not happened, and nothing that may come before it leads there.
      const explained = this.#happened.length;
      if (moment !== null && (furthest === null || explained > furthest.explained))
        furthest = { operation: moment.operation, explained, standing: this.#standing };
      const undone = this.#undo();
      if (undone === null) return furthest;
      moment = undone.after;
    }
    return null;
  }

  /** Takes the operation out, if it may happen now and that leads to where the search has not been. */
  #happen(moment: Moment): boolean {
    const standing = apply(moment.operation, this.#standing);
    if (standing === undefined) return false;
    const newest = Math.max(this.#newest, moment.number);
    this.#take(moment);
    const key = this.#keyOf(standing, newest);
    if (this.#met.has(key)) {
      this.#putBack(moment);
      return false;
    }
    this.#met.add(key);
    this.#happened.push({ moment, standing: this.#standing, newest: this.#newest });
    this.#standing = standing;
    this.#newest = newest;
    return true;
  }

  #undo(): Moment | null {
    const last = this.#happened.pop();
    if (last === undefined) return null;
    this.#putBack(last.moment);
    this.#standing = last.standing;
    this.#newest = last.newest;
    return last.moment;
  }

  /** What stands, and what of the calls up to the newest that happened is still to come. Epochs only grow: a swap of a past one is not. */
  #keyOf(standing: Shown | null, newest: number): string {
    const epoch = standing?.epoch ?? 0;
    const open: number[] = [];
    for (let moment = this.#head; moment !== null && moment.number <= newest; moment = moment.after) {
      const { operation } = moment;
      const isPast =
        operation.call === "swap" && operation.outcome.kind === "unknown" && operation.expectedEpoch < epoch;
      if (moment.isCall && !isPast) open.push(moment.number);
    }
    return `${epoch} ${standing?.value} ${newest} ${open.join(" ")}`;
  }

  #take(moment: Moment): void {
    this.#unlink(moment);
    if (moment.end === null) return;
    this.#unlink(moment.end);
    this.#missing -= 1;
  }

  #putBack(moment: Moment): void {
    if (moment.end !== null) {
      this.#link(moment.end);
      this.#missing += 1;
    }
    this.#link(moment);
  }

  #unlink({ before, after }: Moment): void {
    if (before === null) this.#head = after;
    else before.after = after;
    if (after !== null) after.before = before;
  }

  #link(moment: Moment): void {
    if (moment.before === null) this.#head = moment;
    else moment.before.after = moment;
    if (moment.after !== null) moment.after.before = moment;
  }
}

function momentsOf(operations: readonly RegisterOperation[]): Moment[] {
  const timed = operations.flatMap((operation, number) => {
    const base = { operation, number, before: null, after: null };
    const end: Moment | null = hasToHappen(operation) ? { ...base, isCall: false, end: null } : null;
    const call: Moment = { ...base, isCall: true, end };
    const called = { moment: call, atMs: operation.calledAt };
    if (end === null) return [called];
    return [called, { moment: end, atMs: operation.returnedAt ?? Number.POSITIVE_INFINITY }];
  });
  // At one time calls come first: their operations may have overlapped.
  return timed
    .sort((left, right) => left.atMs - right.atMs || Number(right.moment.isCall) - Number(left.moment.isCall))
    .map(({ moment }) => moment);
}

function linked(moments: readonly Moment[]): Moment | null {
  for (const [at, moment] of moments.entries()) {
    moment.before = moments[at - 1] ?? null;
    moment.after = moments[at + 1] ?? null;
  }
  return moments[0] ?? null;
}
