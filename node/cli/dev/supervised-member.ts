// Supervised member: one agent, gate or proxy process of a dev cluster. Started again when it dies, as systemd would, until it is stopped.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, watch } from "node:fs";
import { getCompileCacheDir } from "node:module";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

/** As systemd's RestartSec, doubled at each death within `STEADY_MS`. */
const RESTART_DELAY_MS = 100;
const RESTART_DELAY_MS_MAX = 2_000;
/** Who ran this long died of something new: the delay starts over. */
const STEADY_MS = 10_000;
/** From spawn to its ready file. Far above the 0.3 s measured: two cores may start eight members at once. */
const READY_TIMEOUT_MS = 60_000;
/** From the end of its stdin to SIGKILL: a proxy may drain for 10 s, an agent stops VMs with their own deadlines. */
const STOP_TIMEOUT_MS = 20_000;
const LOG_TAIL_LINES = 15;

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));

export interface SupervisedOptions {
  readonly name: string;
  readonly role: "agent" | "gate" | "proxy";
  readonly configFile: string;
  /** It appears there, with its pid in it, when the member is ready. */
  readonly readyFile: string;
  readonly logFile: string;
}

/** Starts at once; `ready` says when it serves. */
export class SupervisedMember {
  readonly name: string;
  readonly #options: SupervisedOptions;
  readonly #onChange: () => void;
  #child: ChildProcess;
  #stopping = false;
  #isLost = false;
  #restartDelayMs = RESTART_DELAY_MS;
  #restartTimer: NodeJS.Timeout | null = null;

  /** `onChange` is called when it has a new pid. */
  constructor(options: SupervisedOptions, onChange: () => void) {
    this.name = options.name;
    this.#options = options;
    this.#onChange = onChange;
    mkdirSync(dirname(options.logFile), { recursive: true });
    this.#child = this.#spawn();
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Resolves with the contents of the ready file of the process that runs now. Rejects when it died first, with its last words. */
  async ready(): Promise<unknown> {
    const watcher = watch(dirname(this.#options.readyFile));
    const deadline = AbortSignal.timeout(READY_TIMEOUT_MS);
    const died = once(this.#child, "exit", { signal: deadline }).then(() => "died" as const);
    try {
      for (;;) {
        const ready = this.#readReadyFile();
        if (ready !== null) return ready;
        if (hasEnded(this.#child)) throw new Error(this.#lastWords("ended before it was ready"));
        const changed = once(watcher, "change", { signal: deadline });
        changed.catch(() => {});
        await Promise.race([changed, died]);
      }
    } catch (error) {
      throw deadline.aborted ? new Error(this.#lastWords("did not become ready in time")) : error;
    } finally {
      died.catch(() => {});
      watcher.close();
    }
  }

  /** SIGKILL, and it stays away until `restart`: a machine that is off. Resolves once it is gone. */
  async lose(): Promise<void> {
    this.#isLost = true;
    if (this.#restartTimer !== null) clearTimeout(this.#restartTimer);
    if (hasEnded(this.#child)) return;
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exited;
  }

  /** Of one that was lost. */
  restart(): void {
    if (!this.#isLost || this.#stopping) return;
    this.#isLost = false;
    this.#child = this.#spawn();
    this.#onChange();
  }

  /** Ends its stdin, which it takes as its parent's end; SIGKILL at the deadline. It is not started again. */
  async stop(): Promise<void> {
    this.#stopping = true;
    if (this.#restartTimer !== null) clearTimeout(this.#restartTimer);
    const child = this.#child;
    if (hasEnded(child)) return;
    const exited = once(child, "exit");
    child.stdin?.end();
    const killer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
    // A member that a test has frozen hears nothing; it is not to hold the stop up.
    child.kill("SIGCONT");
    await exited;
    clearTimeout(killer);
  }

  #spawn(): ChildProcess {
    rmSync(this.#options.readyFile, { force: true });
    mkdirSync(dirname(this.#options.readyFile), { recursive: true });
    const log = openSync(this.#options.logFile, "a");
    const child = spawn(
      process.execPath,
      [MAIN, this.#options.role, "--config", this.#options.configFile, "--exit-with-parent"],
      // Detached: Ctrl-C reaches us alone, and we end the members in order.
      { stdio: ["pipe", log, log], detached: true, env: { ...process.env, ...keptCompiled() } },
    );
    closeSync(log);
    child.stdin?.on("error", () => {});
    const startedMs = performance.now();
    const onEnd = (): void => this.#onEnd(performance.now() - startedMs);
    // An "error" without a pid: it never began, and no "exit" follows.
    child.once("exit", onEnd).on("error", () => child.pid === undefined && onEnd());
    return child;
  }

  #onEnd(ranMs: number): void {
    if (this.#stopping || this.#isLost) return;
    this.#restartDelayMs =
      ranMs > STEADY_MS ? RESTART_DELAY_MS : Math.min(this.#restartDelayMs * 2, RESTART_DELAY_MS_MAX);
    this.#restartTimer = setTimeout(() => {
      this.#child = this.#spawn();
      this.#onChange();
    }, this.#restartDelayMs);
  }

  #readReadyFile(): unknown {
    try {
      const ready = JSON.parse(readFileSync(this.#options.readyFile, "utf8")) as { pid?: unknown };
      return ready.pid === this.#child.pid ? ready : null;
    } catch {
      return null;
    }
  }

  #lastWords(what: string): string {
    const lines = readFileSync(this.#options.logFile, "utf8").trimEnd().split("\n").slice(-LOG_TAIL_LINES);
    return `${this.name} ${what}; the end of ${this.#options.logFile}:\n  ${lines.join("\n  ")}`;
  }
}

/** By itself, by a signal, or before it began (pid undefined: the system had no process for it). */
function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
}

/** A member has compiled code where we have it, from its first file on. Node keeps it in a folder of its version's within the one it is told. */
function keptCompiled(): { readonly NODE_COMPILE_CACHE?: string } {
  const folder = getCompileCacheDir();
  return folder === undefined ? {} : { NODE_COMPILE_CACHE: dirname(folder) };
}
