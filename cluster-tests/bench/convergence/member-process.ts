// Member process: the conversation with a member by a child's standard input and output, and its end. The child is the member's own
// process, or a command that passes on what is said to and by a member elsewhere.

import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { PlacedMember } from "./place.ts";
import type { Answers, CommandLine, CommandName, Commands, MemberLine, Program, Usage } from "./protocol.ts";

/** From "stop" to SIGKILL: an agent takes 0.3 s to say goodbye. */
const STOP_TIMEOUT_MS = 5_000;
const LAST_WORDS_CHARS = 2_000;

/** The file of each program, from this folder. */
export const PROGRAM_FILES: Readonly<Record<Program, string>> = {
  host: "members/host.ts",
  proxy: "members/proxy.ts",
  raw: "members/raw.ts",
  streams: "members/streams.ts",
  serf: "members/serf.ts",
};

interface MemberProcessOptions {
  readonly name: string;
  /** All three of its streams are pipes, and it is in a group of its own: Ctrl-C reaches us alone, and we end the members. */
  readonly child: ChildProcess;
  /** Ends all waits. */
  readonly signal: AbortSignal;
}

export class MemberProcess implements PlacedMember {
  readonly name: string;
  readonly ready: Promise<void>;
  contact = "";
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;
  readonly #answers = new Map<number, PromiseWithResolvers<Answers[CommandName]>>();
  readonly #signal: AbortSignal;
  #serial = 0;
  #lastWords = "";
  #isStopping = false;

  constructor({ name, child, signal }: MemberProcessOptions) {
    this.name = name;
    this.#signal = signal;
    this.#child = child;
    this.#closed = once(child, "close").catch(() => undefined);
    child.stdin?.on("error", () => undefined);
    child.stderr?.on("data", (chunk: Buffer) => {
      this.#lastWords = (this.#lastWords + chunk.toString()).slice(-LAST_WORDS_CHARS);
    });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.ready = promise;
    this.#answers.set(0, { promise: Promise.resolve({}), resolve: () => resolve(), reject });
    const lines = createInterface({ input: child.stdout as NonNullable<typeof child.stdout> });
    lines.on("line", (line) => this.#hear(JSON.parse(line) as MemberLine));
    child.once("error", (error) => this.#fail(error.message));
    child.once("close", (code, killed) => this.#fail(`ended (${killed ?? `exit code ${code}`})`));
    signal.addEventListener("abort", () => this.#fail("interrupted"), { once: true });
  }

  async ask<Name extends CommandName>(name: Name, command: Commands[Name]): Promise<Answers[Name]> {
    if (!this.#isStopping) this.#signal.throwIfAborted();
    if (this.#hasEnded) throw new Error(`${this.name} has ended`);
    this.#serial += 1;
    const line = { serial: this.#serial, do: name, ...command } as unknown as CommandLine;
    const answer = Promise.withResolvers<Answers[CommandName]>();
    this.#answers.set(this.#serial, answer);
    this.#child.stdin?.write(`${JSON.stringify(line)}\n`);
    return (await answer.promise) as Answers[Name];
  }

  usage(): Promise<Usage> {
    return this.ask("usage", {});
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    if (this.#hasEnded) return;
    const killer = setTimeout(() => this.#child.kill("SIGKILL"), STOP_TIMEOUT_MS);
    // Its end is what counts: the answer may be lost with it.
    this.ask("stop", {}).catch(() => undefined);
    await this.#closed;
    clearTimeout(killer);
  }

  /** It did not end by itself. */
  get wasKilled(): boolean {
    return this.#child.signalCode !== null;
  }

  get #hasEnded(): boolean {
    const { exitCode, signalCode, pid } = this.#child;
    return exitCode !== null || signalCode !== null || pid === undefined;
  }

  #hear(line: MemberLine): void {
    if ("ready" in line) {
      this.contact = line.ready;
      this.#answers.get(0)?.resolve({});
      this.#answers.delete(0);
      return;
    }
    const answer = this.#answers.get(line.serial);
    this.#answers.delete(line.serial);
    if ("error" in line) answer?.reject(new Error(`${this.name}: ${line.error}`));
    else answer?.resolve(line.answer);
  }

  #fail(reason: string): void {
    const words = this.#lastWords === "" ? "" : `:\n${this.#lastWords.trimEnd()}`;
    const error = new Error(`${this.name} ${reason}${words}`);
    for (const answer of this.#answers.values()) answer.reject(error);
    this.#answers.clear();
  }
}

/** Node's, so that it writes a CPU profile when it ends. */
export function profileArguments(folder: string, name: string): readonly string[] {
  return ["--cpu-prof", "--cpu-prof-dir", folder, "--cpu-prof-name", profileFile(name)];
}

export function profileFile(name: string): string {
  return `${name}.cpuprofile`;
}
