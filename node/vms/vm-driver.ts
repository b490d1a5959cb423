// VM driver: the seam to what runs VMs. One file behind it for each kind; all pass driver-compliance.

import type { VmName } from "../../mesh/index.ts";

export interface VmSpec {
  readonly vm: VmName;
  readonly command: readonly string[];
  /** The whole environment beside what the driver itself needs (PATH, HOME). */
  readonly env: Readonly<Record<string, string>>;
  /** The VM's own folder: a copy of the release's files is in `app`, output goes to `output.log`. */
  readonly folder: string;
}

/** What finds a VM again after the agent's restart. Written to disk by the caller before it counts. Plain JSON. */
export interface VmHandle {
  readonly driver: string;
  readonly vm: VmName;
  /** What the driver needs: of `process` pid, start time and boot id. */
  readonly identity: Readonly<Record<string, string | number>>;
}

/** Says for how long a VM may end by itself, and when the caller no longer waits. */
export interface VmStopOptions {
  /** "SIGTERM" and the like; what the driver does not know is taken for SIGTERM. */
  readonly stopSignal: string;
  readonly timeoutMs: number;
  /** Ends the wait with a rejection; what was signalled stays signalled, and a later `stop` goes on. */
  readonly signal: AbortSignal;
}

export interface VmExit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** `command-not-found` and `not-executable` blame the release, `no-resources` the host. Nothing was started. */
export class VmStartError extends Error {
  override readonly name = "VmStartError";
  readonly code: "command-not-found" | "not-executable" | "no-resources";
  constructor(code: VmStartError["code"], message: string) {
    super(message);
    this.code = code;
  }
}

export interface VmDriver {
  readonly kind: string;
  /** Throws a `VmStartError` for what `start` would reject without having started anything. */
  check(spec: VmSpec): void;
  /** Starts it. Output is appended to `output.log`. The VM outlives this process. Rejects with `VmStartError`. */
  start(spec: VmSpec): Promise<VmHandle>;
  /** Is it still the same VM, and does it run? A zombie has exited; another process under its pid is not it. */
  inspect(
    handle: VmHandle,
  ): Promise<{ readonly running: true } | { readonly running: false; readonly exit: VmExit }>;
  /**
   * Finds a VM that runs and whose handle was lost: its agent died between the start and writing the handle down.
   * Known again by its folder, which no two VMs ever share. Null: it does not run.
   */
  find(vm: VmName, folder: string): Promise<VmHandle | null>;
  /** Resolves once it has ended, also one that was started before this agent was. Rejects on abort. */
  waitForExit(handle: VmHandle, signal: AbortSignal): Promise<VmExit>;
  /**
   * Sends `stopSignal` to the whole VM; at the deadline SIGKILL. Resolves when nothing of it runs any more, also what
   * it left behind when it ended by itself.
   */
  stop(handle: VmHandle, options: VmStopOptions): Promise<VmExit>;
}
