// Process driver: a VM is a session of processes on this host. It outlives the agent, which knows it again by pid, start
// time and boot id.
//
// A VM is all processes of the session that its first process leads, and all that carry its folder in the environment
// they were started with (a daemon that left the session). A pid alone is never enough to signal anyone: numbers are
// given out again, so start time and boot id are compared right before.

import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { VmName } from "../../mesh/index.ts";
import { messageOf } from "../../mesh/index.ts";
import { unlessAborted } from "../unless-aborted.ts";
import {
  hasEnvironmentLine,
  isBlind,
  listProcesses,
  type ProcessRow,
  readBootId,
  readProcess,
} from "./process-table.ts";
import { resolveCommand } from "./resolve-command.ts";
import {
  type VmDriver,
  type VmExit,
  type VmHandle,
  type VmSpec,
  VmStartError,
  type VmStopOptions,
} from "./vm-driver.ts";

/** How late the end of a VM that is no child of ours is seen; /proc has no event for it. One read costs ~20 µs. */
const EXIT_POLL_MS = 100;
/** A stop is waited for by a rollout: poll finely, */
const STOP_POLL_MS = 10;
/** and less and less when its first process has gone: who is left is found by reading all of /proc, 3 ms for 100 processes. */
const STOP_POLL_MS_MAX = 200;
/** How many ended children are remembered. Their exit is asked for within seconds, if at all. */
const ENDED_CHILDREN_MAX = 500;
const UNKNOWN_EXIT: VmExit = { code: null, signal: null };

interface Child {
  readonly exited: Promise<VmExit>;
  exit: VmExit | null;
  /** Who was left of its session in the moment it ended: known to be ours, though its leader is gone. */
  survivors: readonly ProcessRow[];
}

interface Identity {
  readonly pid: number;
  readonly startTime: number;
  readonly bootId: string;
  /** In the environment of all that belongs to the VM, unless it set another. */
  readonly marker: string;
}

export class ProcessDriver implements VmDriver {
  readonly kind = "process";
  readonly #bootId: string;
  /** Only the parent learns how a process ended; for others a zombie's row says it, if there is one. */
  readonly #children = new Map<string, Child>();

  constructor() {
    if (process.platform !== "linux")
      throw new Error("the process driver reads /proc: it runs on Linux only");
    this.#bootId = readBootId();
  }

  check(spec: VmSpec): void {
    placed(spec);
  }

  async start(spec: VmSpec): Promise<VmHandle> {
    const [command = "", ...args] = spec.command;
    const { file, cwd, env } = placed(spec);
    const child = spawnDetached({
      file,
      args,
      argv0: command,
      cwd,
      env,
      output: join(spec.folder, "output.log"),
    });
    const ready = spawned(child, command);
    // At once: an unreaped child is in the table even if it has ended already.
    const handle = this.#handleOrKill(spec, child);
    if (handle !== null) this.#adoptChild(handle, child);
    await ready;
    if (handle === null)
      throw new VmStartError("no-resources", `cannot start ${command}: no process was made`);
    return handle;
  }

  async inspect(handle: VmHandle): ReturnType<VmDriver["inspect"]> {
    const exit = this.#exitOf(handle);
    return exit === null ? { running: true } : { running: false, exit };
  }

  async find(vm: VmName, folder: string): Promise<VmHandle | null> {
    const marker = markerOf(folder);
    const rows = listProcesses().filter((row) => !row.ended && hasEnvironmentLine(row.pid, marker));
    const byAge = rows.sort((a, b) => a.startTime - b.startTime);
    const first = byAge.find((row) => row.pid === row.session) ?? byAge[0];
    return first === undefined ? null : this.#handleOf(vm, folder, first.pid);
  }

  async waitForExit(handle: VmHandle, signal: AbortSignal): Promise<VmExit> {
    const child = this.#children.get(keyOf(handle));
    if (child !== undefined) return await unlessAborted(child.exited, signal);
    for (;;) {
      signal.throwIfAborted();
      const exit = unlessBlind(() => this.#exitOf(handle));
      if (exit !== null) return exit;
      await delay(EXIT_POLL_MS, undefined, { signal });
    }
  }

  async stop(handle: VmHandle, options: VmStopOptions): Promise<VmExit> {
    const deadlineMs = performance.now() + options.timeoutMs;
    let isAsked = false;
    let pollMs = STOP_POLL_MS;
    for (;;) {
      const isLate = performance.now() >= deadlineMs;
      const left = unlessBlind(() => {
        if (isLate || !isAsked) this.#signalAll(handle, isLate ? "SIGKILL" : options.stopSignal);
        isAsked = true;
        return this.#left(handle);
      });
      if (left === "nobody") break;
      if (left === "others") pollMs = Math.min(STOP_POLL_MS_MAX, pollMs * 1.5);
      const waitMs = isLate ? pollMs : Math.min(pollMs, Math.max(1, deadlineMs - performance.now()));
      await this.#untilEnd(handle, waitMs, options.signal);
    }
    const child = this.#children.get(keyOf(handle));
    return child === undefined ? (this.#exitOf(handle) ?? UNKNOWN_EXIT) : await child.exited;
  }

  /** So long at most; of a child its end is an event. */
  async #untilEnd(handle: VmHandle, waitMs: number, signal: AbortSignal): Promise<void> {
    const child = this.#children.get(keyOf(handle));
    if (child === undefined || child.exit !== null) return await delay(waitMs, undefined, { signal });
    const ended = new AbortController();
    const waited = delay(waitMs, undefined, { signal: AbortSignal.any([signal, ended.signal]) });
    try {
      await Promise.race([waited, child.exited]);
    } finally {
      ended.abort();
    }
  }

  #adoptChild(handle: VmHandle, child: ChildProcess): void {
    const { promise, resolve } = Promise.withResolvers<VmExit>();
    const known: Child = { exited: promise, exit: null, survivors: [] };
    child.once("exit", (code, signal) => {
      known.exit = { code, signal };
      const rows = unlessBlind(listProcesses) ?? [];
      known.survivors = rows.filter((row) => row.session === child.pid && !row.ended);
      this.#forgetOldChildren();
      resolve(known.exit);
    });
    this.#children.set(keyOf(handle), known);
  }

  #forgetOldChildren(): void {
    const ended = [...this.#children].filter(([, child]) => child.exit !== null);
    for (const [key] of ended.slice(0, -ENDED_CHILDREN_MAX)) this.#children.delete(key);
  }

  #handleOf(vm: VmName, folder: string, pid: number): VmHandle | null {
    const row = readProcess(pid);
    if (row === null) return null;
    const identity = { pid, startTime: row.startTime, bootId: this.#bootId, marker: markerOf(folder) };
    return { driver: this.kind, vm, identity };
  }

  /** A process that we cannot name must not run: nobody would find it again. */
  #handleOrKill({ vm, folder, command }: VmSpec, { pid }: ChildProcess): VmHandle | null {
    if (pid === undefined) return null;
    try {
      return this.#handleOf(vm, folder, pid);
    } catch (error) {
      send(-pid, "SIGKILL");
      throw startError(command[0] ?? "", error);
    }
  }

  /** Null while it runs. */
  #exitOf(handle: VmHandle): VmExit | null {
    const child = this.#children.get(keyOf(handle));
    if (child !== undefined) return child.exit;
    const row = this.#leaderOf(identityOf(handle));
    if (row === null) return UNKNOWN_EXIT;
    return row.ended ? decodeWaitStatus(row.waitStatus) : null;
  }

  /** The first process, running or a zombie; null when it is gone or its number is another's now. */
  #leaderOf(identity: Identity): ProcessRow | null {
    if (identity.bootId !== this.#bootId) return null;
    const row = readProcess(identity.pid);
    return row !== null && row.startTime === identity.startTime ? row : null;
  }

  /** The leader alone is asked while it runs: the whole table is read only when it has ended. */
  #left(handle: VmHandle): "leader" | "others" | "nobody" {
    const leader = this.#leaderOf(identityOf(handle));
    if (leader !== null && !leader.ended) return "leader";
    return this.#members(handle).length > 0 ? "others" : "nobody";
  }

  #members(handle: VmHandle): readonly ProcessRow[] {
    const identity = identityOf(handle);
    if (identity.bootId !== this.#bootId) return [];
    const hasLeader = this.#leaderOf(identity) !== null;
    const survivors = this.#children.get(keyOf(handle))?.survivors ?? [];
    return listProcesses().filter((row) => {
      if (row.ended || row.startTime < identity.startTime || row.pid === process.pid) return false;
      if (hasLeader && row.session === identity.pid) return true;
      return survivors.some((known) => isSame(known, row)) || hasEnvironmentLine(row.pid, identity.marker);
    });
  }

  /** The group in one call, so that nobody is born between two; then those who left it. */
  #signalAll(handle: VmHandle, signal: string): void {
    const identity = identityOf(handle);
    const leader = this.#leaderOf(identity);
    const isGroup = leader !== null && leader.group === identity.pid;
    // A child of ours stays in the table until we have heard of its end: who left its group is found afterwards too.
    const isChild = this.#children.get(keyOf(handle))?.exit === null;
    if (isGroup && isChild) send(-identity.pid, signal);
    const members = this.#members(handle);
    if (isGroup && !isChild) send(-identity.pid, signal);
    for (const row of members) {
      if (isGroup && row.group === identity.pid) continue;
      const now = readProcess(row.pid);
      if (now !== null && isSame(now, row)) send(row.pid, signal);
    }
  }
}

/** Null when we cannot look: the caller asks again. */
function unlessBlind<Value>(look: () => Value): Value | null {
  try {
    return look();
  } catch (error) {
    if (!isBlind(error)) throw error;
    return null;
  }
}

function isSame(left: ProcessRow, right: ProcessRow): boolean {
  return left.pid === right.pid && left.startTime === right.startTime;
}

function markerOf(folder: string): string {
  return `GRAPEVINE_VM_FOLDER=${folder}`;
}

/** The handle was written by us; one that was not (another release's) identifies nobody, and nobody is signalled. */
function identityOf(handle: VmHandle): Identity {
  const { pid, startTime, bootId, marker } = handle.identity;
  const isOurs = Number.isInteger(pid) && Number(pid) > 1 && typeof marker === "string" && marker !== "";
  const identity = { pid: Number(pid), startTime: Number(startTime), marker: String(marker) };
  return { ...identity, bootId: isOurs ? String(bootId) : "" };
}

function keyOf(handle: VmHandle): string {
  const { pid, startTime, bootId } = identityOf(handle);
  return `${pid} ${startTime} ${bootId}`;
}

/** Where it runs, and what. Throws for what cannot be run. */
function placed(spec: VmSpec): Pick<Spawn, "file" | "cwd" | "env"> {
  const env = environmentOf(spec);
  const cwd = join(spec.folder, "app");
  const [command = ""] = spec.command;
  return { file: resolveCommand(command, { cwd, path: env["PATH"] ?? "" }), cwd, env };
}

/** Little of our own environment passes: a VM must not depend on which shell its agent was started from. */
function environmentOf(spec: VmSpec): Record<string, string> {
  const { HOME, LANG, PATH } = process.env;
  const path = [dirname(process.execPath), spec.env["PATH"] ?? PATH ?? "/usr/local/bin:/usr/bin:/bin"];
  return {
    TMPDIR: tmpdir(),
    ...(HOME === undefined ? {} : { HOME }),
    ...(LANG === undefined ? {} : { LANG }),
    ...spec.env,
    // First the Node that runs us: `command = ["node", …]` works where no other is installed.
    PATH: path.join(delimiter),
    GRAPEVINE_VM_FOLDER: spec.folder,
  };
}

interface Spawn {
  readonly file: string;
  readonly args: readonly string[];
  readonly argv0: string;
  readonly cwd: string;
  readonly env: Record<string, string>;
  readonly output: string;
}

function spawnDetached(what: Spawn): ChildProcess {
  let output: number | undefined;
  try {
    output = openSync(what.output, "a", 0o640);
    const { argv0, cwd, env } = what;
    const stdio = ["ignore", output, output] as const;
    const child = spawn(what.file, what.args, { argv0, cwd, env, stdio: [...stdio], detached: true });
    child.unref();
    return child;
  } catch (error) {
    throw startError(what.argv0, error);
  } finally {
    if (output !== undefined) closeSync(output);
  }
}

async function spawned(child: ChildProcess, command: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  child.once("spawn", resolve);
  // `on`: a later error (a signal that could not be sent) is nobody's, and must not end the agent.
  child.on("error", (error) => reject(startError(command, error)));
  await promise;
}

function startError(command: string, error: unknown): VmStartError {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  const message = messageOf(error);
  if (code === "ENOENT") {
    const why = "the interpreter that its first line names does not exist";
    return new VmStartError("command-not-found", `cannot run ${command}: ${why}`);
  }
  if (["EACCES", "ENOEXEC", "EPERM", "E2BIG", "ERR_INVALID_ARG_VALUE"].includes(code)) {
    return new VmStartError("not-executable", `cannot run ${command}: ${message}`);
  }
  return new VmStartError("no-resources", `cannot start ${command}: ${message}`);
}

/** ESRCH: it ended meanwhile. Others (EPERM: it changed its user) are seen by whoever waits for its end. */
function send(pid: number, signal: string): void {
  const known = Object.hasOwn(constants.signals, signal) ? (signal as NodeJS.Signals) : "SIGTERM";
  try {
    process.kill(pid, known);
  } catch {
    // Looked at again by the caller's loop.
  }
}

/** As wait(2) packs it: the signal in the low seven bits, else the exit code in the second byte. */
function decodeWaitStatus(status: number): VmExit {
  const number = status & 0x7f;
  if (number === 0) return { code: (status >> 8) & 0xff, signal: null };
  const named = Object.entries(constants.signals).find(([, value]) => value === number);
  return { code: null, signal: named?.[0] ?? `signal ${number}` };
}
