// Desk: one proposer's process: what it has in memory and on disk, and how far it is with its tasks.

import type { AcceptorRequest } from "../../register/acceptor.ts";
import type { VoterId } from "../../register/ballot.ts";
import type { RegisterName } from "../../register/certificate.ts";
import type { Proposer } from "../../register/proposer.ts";
import type { HeadStart, Operation, Outcome } from "../../register/proposer-face.ts";
import type { Settling } from "../../register/settle.ts";
import type { VoterList } from "../../register/voter-list.ts";
import type { BreakName } from "./breaks.ts";
import type { Task } from "./scenario.ts";

export interface Desk {
  /** `a`: also the letter of the voter that its ballots name. */
  readonly letter: string;
  /** That it goes by. */
  readonly list: VoterList;
  /** Tasks that ended. */
  readonly done: number;
  /** Turn, losses and whom it heard are not of interest: they are zero in all. */
  readonly running: Proposer | null;
  /** What the operation's phase asks. */
  readonly asking: AcceptorRequest | null;
  /** Ballots of this task. */
  readonly attempts: number;
  /** The highest round that was reserved, on disk. */
  readonly round: number;
  readonly headStarts: ReadonlyMap<RegisterName, HeadStart>;
  /** Epochs as its operations reported them; 0: none yet. */
  readonly known: ReadonlyMap<RegisterName, number>;
  /** The highest epoch that had been reported to anybody when the operation began. */
  readonly floor: number;
  readonly settling: Settling | null;
  readonly restarts: number;
}

/** An operation that ended, for the invariants. */
export interface Ended {
  readonly register: RegisterName;
  readonly operation: Operation;
  readonly outcome: Outcome;
  readonly floor: number;
}

export interface DeskStep {
  readonly desk: Desk;
  /** Whether late answers are none of its business any more. */
  readonly isNewTurn: boolean;
  readonly ended: Ended | null;
}

/** `cut`: it would need more ballots than the bound allows. Null: nothing to do. */
export type DeskResult = DeskStep | "cut" | null;

export interface DeskRules {
  readonly voter: VoterId;
  readonly tasks: readonly Task[];
  readonly attemptsMax: number;
  readonly restartsMax: number;
  readonly broken: ReadonlySet<BreakName>;
}

export function newDesk(letter: string, list: VoterList): Desk {
  return {
    letter,
    list,
    done: 0,
    running: null,
    asking: null,
    attempts: 0,
    round: 0,
    headStarts: new Map(),
    known: new Map(),
    floor: 0,
    settling: null,
    restarts: 0,
  };
}

/** After its last task nothing of it is of interest any more. */
export function nextTask(desk: Desk, rules: DeskRules): Desk {
  const next = { ...desk, done: desk.done + 1, attempts: 0 };
  return isFinished(next, rules) ? { ...newDesk(desk.letter, desk.list), done: next.done } : next;
}

export function isFinished({ done }: Desk, { tasks }: DeskRules): boolean {
  return done >= tasks.length;
}

/** Whether another operation may begin than the one that runs. */
export function mayBegin(desk: Desk, rules: DeskRules): boolean {
  const task = rules.tasks[desk.done];
  if (task === undefined || desk.running === null || task.kind === "settle") return task !== undefined;
  return desk.done + 1 < rules.tasks.length;
}
