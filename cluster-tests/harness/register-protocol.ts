// Register protocol: the lines of JSON between a test and a host that keeps registers, as a process of its own.

/** What the process is started with, as JSON in argv. */
export interface RegisterMemberOptions {
  readonly name: string;
  /** The cluster's id, and the file of its root key: the voters are named by it. */
  readonly cluster: string;
  readonly keyFile: string;
  readonly stateDir: string;
  /** Multiaddrs. */
  readonly seeds: readonly string[];
}

/** A voter list as the member goes by it. */
export interface ToldList {
  readonly number: number;
  readonly isSettled: boolean;
  readonly voters: readonly { readonly id: string; readonly name: string }[];
}

/** What stands, or did. `release` is the record's `lastRelease`: it tells one record from another. */
export interface ToldRecord {
  readonly epoch: number;
  readonly release: number;
}

/** What an operation came to. `refused`: the promise of the register was rejected, which says that nothing was changed. */
export type ToldOutcome =
  | { readonly kind: "committed"; readonly shown: ToldRecord }
  | { readonly kind: "conflict" | "read"; readonly shown: ToldRecord | null }
  | { readonly kind: "unknown" | "unavailable" }
  | { readonly kind: "refused"; readonly reason: string };

/** `process.hrtime`, which all processes of a machine share, in microseconds. `returnedUs` is after the outcome was known. */
export interface TimedOutcome {
  readonly calledUs: number;
  readonly returnedUs: number;
  readonly outcome: ToldOutcome;
}

/** Microseconds each. */
export interface ToldLoad {
  readonly tookUs: readonly number[];
  /** Those that were not committed. */
  readonly failed: number;
}

/** By name: what is asked, and what is answered. Answers come in the order in which they are ready. */
export interface RegisterCommands {
  /** Names these hosts as the first voters, by the root key. */
  readonly install: {
    readonly ask: { readonly voters: readonly string[] };
    readonly answer: ToldList;
  };
  readonly add: { readonly ask: { readonly voter: string }; readonly answer: ToldList };
  readonly remove: { readonly ask: { readonly id: string }; readonly answer: ToldList };
  readonly swap: {
    readonly ask: { readonly app: string; readonly expectedEpoch: number; readonly release: number };
    readonly answer: TimedOutcome;
  };
  readonly read: { readonly ask: { readonly app: string }; readonly answer: TimedOutcome };
  /** Commits to each of these apps, one after the other to each, all apps at once, for so long. */
  readonly load: {
    readonly ask: { readonly apps: readonly string[]; readonly forMs: number };
    readonly answer: ToldLoad;
  };
  /** Messages of a commit's size to that member and back, one after the other, for so long. */
  readonly echo: {
    readonly ask: { readonly to: string; readonly forMs: number };
    readonly answer: ToldLoad;
  };
}

export type RegisterCommandName = keyof RegisterCommands;

export type RegisterCommandLine = {
  [Name in RegisterCommandName]: {
    readonly serial: number;
    readonly do: Name;
  } & RegisterCommands[Name]["ask"];
}[RegisterCommandName];

/** What a member goes by. `seat`: the voter that it is; null: none. */
export interface ToldVoters {
  readonly list: ToldList | null;
  readonly seat: string | null;
}

export type RegisterLine =
  | ({ readonly event: "ready"; readonly owner: string; readonly listen: string } & ToldVoters)
  /** The list changed, or whether it is a voter. */
  | ({ readonly event: "voters" } & ToldVoters)
  /** Owners that are connected. */
  | { readonly event: "links"; readonly connected: readonly string[] }
  /** From `warn` on. */
  | { readonly event: "log"; readonly msg: string }
  | { readonly event: "answer"; readonly serial: number; readonly answer: unknown }
  | { readonly event: "failed"; readonly serial: number; readonly reason: string };
