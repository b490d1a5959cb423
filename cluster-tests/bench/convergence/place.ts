// Place: the seam to where measured members run. One file behind it for each kind: processes of this machine
// (process-place.ts), containers later. A place starts a program of members/, talks to it in lines of JSON, and takes it away.

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
  /** Ends all that runs and removes what it left. */
  stop(): Promise<void>;
}
