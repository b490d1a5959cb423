// Scenario: who is there, what each proposer does, and the bounds within which everything is looked at.

import { idOf, letterOf, voterNamed } from "../../register/testing/voters.ts";
import type { VoterChange } from "../../register/voter-list.ts";

export const APP_REGISTER = "app/one";

/** What a proposer does next. Expected epochs are what its last operation was told; after an unknown one it swaps as if it had failed. */
export type Task =
  | { readonly kind: "read" | "recommit" | "swap" }
  /** A swap whose record says that the app is gone: its epoch goes on. */
  | { readonly kind: "delete" }
  /** A swap that expects one more than it was told: built on what may never be committed. */
  | { readonly kind: "guess" }
  | { readonly kind: "seed"; readonly epoch: number }
  | { readonly kind: "change"; readonly change: VoterChange }
  | { readonly kind: "settle" };

/** `swap`, `+d` (voter d is added), `-c` (voter c is removed). */
export function task(text: Exclude<Task["kind"], "change" | "seed"> | `+${string}` | `-${string}`): Task {
  const letter = text.slice(1);
  if (text.startsWith("+")) return { kind: "change", change: { kind: "add", voter: voterNamed(letter) } };
  if (text.startsWith("-")) return { kind: "change", change: { kind: "remove", id: idOf(letter) } };
  return { kind: text } as Task;
}

export interface Scenario {
  readonly name: string;
  readonly text: string;
  /** Of the first list, settled. */
  readonly voters: string;
  /** Of each proposer, which is the voter of that letter, also once it is none any more. */
  readonly tasks: Readonly<Record<string, readonly Task[]>>;
  /** Before the first move the first proposer has committed epoch 1 of the app, and these have it. Default: nothing was. */
  readonly committedBy?: string;
  /** Rounds that these proposers have used up before the first move. Default: none. */
  readonly rounds?: Readonly<Record<string, number>>;
  /** Ballots of one task, at most, by proposer. */
  readonly attempts: Readonly<Record<string, number>>;
  /** Restarts of one proposer, at most. */
  readonly restarts: number;
  /**
   * Crashes of acceptors, all together. Null: a write is synced before anybody sees anything of it, as one step. A number: memory
   * and disk differ until a sync, and a crash may come before it.
   */
  readonly crashes: number | null;
  /** These cannot read the records that this proposer wrote first. */
  readonly refusing?: { readonly voters: string; readonly recordsOf: string };
}

/** All voters that ever are, those of the first list first. */
export function lettersOf({ voters, tasks }: Scenario): readonly string[] {
  const added = Object.values(tasks)
    .flat()
    .flatMap((task) =>
      task.kind === "change" && task.change.kind === "add" ? [letterOf(task.change.voter.id)] : [],
    );
  return [...new Set([...voters, ...added])];
}

/** By letter; voters of one class are treated alike by everything, for all time. */
export function voterClasses(scenario: Scenario): readonly number[] {
  const { voters, tasks, refusing } = scenario;
  const changes = Object.values(tasks)
    .flat()
    .filter((task) => task.kind === "change");
  const keys = lettersOf(scenario).map((letter) => {
    const named = changes.map(
      ({ change }) => letterOf(change.kind === "add" ? change.voter.id : change.id) === letter,
    );
    return [voters.includes(letter), refusing?.voters.includes(letter), named].join();
  });
  return keys.map((key) => keys.indexOf(key));
}
