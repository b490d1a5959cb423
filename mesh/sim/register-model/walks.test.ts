import { describe, expect, it, vi } from "vitest";
import type { CommittedValue } from "../../register/proposer-face.ts";
import {
  describeNotLinearizable,
  findNotLinearizable,
  type RegisterOperation,
  type Shown,
} from "../linearizability.ts";
import { seededRandom } from "../seeded-random.ts";
import type { BreakName } from "./breaks.ts";
import type { Ended } from "./desk.ts";
import { recordText } from "./keys.ts";
import type { State } from "./layout.ts";
import { Model, type Outgoing } from "./model.ts";
import type { Move } from "./move.ts";
import { type Scenario, task } from "./scenario.ts";

// Walks by chance through a model that is far too large to be explored, judged by somebody else: the linearizability checker.

const TASKS = [task("swap"), task("read"), task("swap"), task("recommit"), task("delete"), task("read")];
const MANY: Scenario = {
  name: "walks",
  text: "",
  voters: "abc",
  tasks: { a: TASKS, b: [...TASKS].reverse(), c: TASKS },
  attempts: { a: 4, b: 4, c: 4 },
  restarts: 2,
  crashes: 3,
};
const WALKS = 20;
const MOVES_MAX = 500;
/** Of the moves that are a fault. */
const FAULT_SHARE = 0.02;

/** Says that it hangs, not that it is slow. */
vi.setConfig({ testTimeout: 60_000 });

describe("A walk by chance", () => {
  it("is linearizable", () => {
    let ends = 0;
    for (let seed = 1; seed <= WALKS; seed += 1) {
      const { history, violation } = walk(seed, null);
      expect(violation, `seed ${seed}`).toBeNull();
      const fault = findNotLinearizable(history);
      expect(fault === null ? null : describeNotLinearizable(fault), `seed ${seed}`).toBeNull();
      ends += history.filter(({ outcome }) => outcome.kind === "ok" || outcome.kind === "conflict").length;
    }
    expect(ends).toBeGreaterThan(5 * WALKS);
  });

  it.each<BreakName>(["one-answer-read", "hidden-vote"])(
    "is found not to be without %s, and the model said so before",
    (broken) => {
      let wrong = 0;
      for (let seed = 1; seed <= WALKS; seed += 1) {
        const { history, violation } = walk(seed, broken);
        if (findNotLinearizable(history) === null) continue;
        wrong += 1;
        expect(violation, `seed ${seed}`).not.toBeNull();
      }
      expect(wrong).toBeGreaterThan(0);
    },
  );
});

interface Walked {
  readonly history: readonly RegisterOperation[];
  /** The first; the walk goes on. */
  readonly violation: string | null;
}

interface Begun {
  readonly calledAt: number;
  readonly operation: Ended["operation"];
}

function walk(seed: number, broken: BreakName | null): Walked {
  const model = new Model(MANY, { broken: new Set(broken === null ? [] : [broken]), isLiteral: true });
  const random = seededRandom(seed);
  const begun = new Map<number, Begun>();
  const history: RegisterOperation[] = [];
  let violation: string | null = null;
  let state = model.first();
  for (let at = 1; at <= MOVES_MAX; at += 1) {
    const chosen = choose(model, state, random);
    if (chosen === null) break;
    const { move, ended } = chosen.outgoing;
    violation ??= chosen.outgoing.violation;
    if ("desk" in move) {
      const before = begun.get(move.desk);
      if (ended !== null && before !== undefined) {
        history.push(operationOf(move.desk, before, { at, ended }));
        begun.delete(move.desk);
      }
      const running = model.parts.desk(chosen.next[move.desk] ?? 0).desk.running;
      if (isBegin(move) && running !== null)
        begun.set(move.desk, { calledAt: at, operation: running.options.operation });
      else if (isBegin(move)) begun.delete(move.desk);
    }
    state = chosen.next;
  }
  for (const [desk, before] of begun) history.push(operationOf(desk, before, null));
  return { history, violation };
}

function isBegin({ kind }: Move): boolean {
  return kind === "begin" || kind === "give-up-begin";
}

interface Chosen {
  readonly next: State;
  readonly outgoing: Outgoing;
}

function choose(model: Model, state: State, random: () => number): Chosen | null {
  const isFault = random() < FAULT_SHARE;
  const faults = ["give-up", "give-up-begin", "restart", "crash", "lose-disk"];
  let found: Chosen | null = null;
  let count = 0;
  // Each is the chosen one with the same chance, whether its kind is rare or not.
  model.successors(state, (next, outgoing) => {
    const isWanted = faults.includes(outgoing.move.kind) === isFault;
    if (!isWanted && found !== null) return;
    count += Number(isWanted);
    if (found === null || random() * count < 1) found = { next: next.slice(), outgoing };
  });
  return found;
}

function operationOf(
  desk: number,
  { calledAt, operation }: Begun,
  end: { readonly at: number; readonly ended: Ended } | null,
): RegisterOperation {
  const base = { register: "r", client: `proposer ${desk}`, calledAt, returnedAt: end?.at ?? null };
  const outcome = end?.ended.outcome ?? { kind: "unknown" };
  if (operation.kind !== "swap") {
    const read = outcome.kind === "read" ? { kind: "ok" as const, shown: shownOf(outcome.current) } : null;
    return { ...base, call: "read", outcome: read ?? { kind: "fail" } };
  }
  const { expectedEpoch } = operation;
  const swap = { ...base, call: "swap", expectedEpoch, value: recordText(operation) } as const;
  switch (outcome.kind) {
    case "committed":
      return { ...swap, outcome: { kind: "ok" } };
    case "conflict":
      return { ...swap, outcome: { kind: "conflict", shown: shownOf(outcome.current) } };
    case "unavailable":
    case "refused":
      return { ...swap, outcome: { kind: "fail" } };
    default:
      return { ...swap, outcome: { kind: "unknown" } };
  }
}

function shownOf(current: CommittedValue | null): Shown | null {
  return current === null ? null : { epoch: current.value.epoch, value: recordText(current.value) };
}
