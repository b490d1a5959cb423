// Place: the seam to where measured members run. One file behind it for each kind: processes of this machine (process-place.ts),
// containers (container-place.ts). A place starts a program of members/, talks to it in lines of JSON, and takes it away.

import type { Answers, CommandName, Commands, MemberConfig, Program, Usage } from "./protocol.ts";

export interface MemberSpec {
  readonly name: string;
  readonly program: Program;
  readonly config: MemberConfig;
}

export interface PlacedMember {
  readonly name: string;
  /** How others reach it, as it said itself: meaningful to its program alone. */
  readonly contact: string;
  /** Rejects when it ended, answered an error, or the run was interrupted; the message holds its last words. */
  ask<Name extends CommandName>(name: Name, command: Commands[Name]): Promise<Answers[Name]>;
  /** Of the program that is measured, without what the measuring of it costs where that can be told apart. */
  usage(): Promise<Usage>;
  /** Resolves when nothing of it runs. */
  stop(): Promise<void>;
}

export interface Place {
  /** Resolves when it is ready. Rejects with its last words when it ended before; nothing of it runs then. */
  start(spec: MemberSpec): Promise<PlacedMember>;
  /** Ends all that runs and removes what it left. Rejects when something is left. */
  stop(): Promise<void>;
}

export interface PlaceOptions {
  /** `process.hrtime.bigint()` at the origin of all times. */
  readonly originNs: bigint;
  /** A folder for a CPU profile of each member; null: none is taken. */
  readonly profileFolder: string | null;
  /** Ends all waits. */
  readonly signal: AbortSignal;
  readonly say: (what: string) => void;
}

/** What is known of a kind of place once it was looked at, before anything is measured in it. */
export interface PlaceKind {
  /** The version that members run on. */
  readonly node: string;
  /** Why Serf cannot be compared with; null: it can, or nobody asked. */
  readonly whyNoSerf: string | null;
  /** A new place, with nothing in it. */
  open(options: PlaceOptions): Promise<Place>;
}

/** Looks. Rejects with what is missing. */
export type FindPlaceKind = (input: {
  readonly withSerf: boolean;
  readonly signal: AbortSignal;
}) => Promise<PlaceKind>;
