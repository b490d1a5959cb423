// Invariants: the names by which a run fails. Those that concern entries are the design's; `prompt` is the simulator's own.

export type Invariant =
  | "single-writer"
  | "no-resurrection"
  | "no-empty-table"
  | "converges"
  | "no-lost-entry"
  | "prompt"
  | "sync"
  | "no-false-twin";

export const INVARIANTS: Readonly<Record<Invariant, string>> = {
  "single-writer": "a host's versions only grow at every observer; nobody else's write is accepted",
  "no-resurrection": "what its owner deleted never comes back",
  "no-empty-table": "no restart, reset or partition takes away an entry that its owner did not delete",
  converges: "once faults end, all live members hold equal values within a bound",
  "no-lost-entry": "what an owner wrote and did not replace is at every live member after convergence",
  prompt:
    "a write reaches every live member that no fault touched within a bound; else it is an unexplained miss",
  "no-false-twin": "no member takes its own past for another process with its key",
  sync: "a sync that ended well left both sides with what the other held when it began",
};

export interface Violation {
  readonly invariant: Invariant;
  /** Virtual time. */
  readonly atMs: number;
  readonly text: string;
}
