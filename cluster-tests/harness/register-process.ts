// Register process: one life of one host that keeps registers, from its start to its end, as its test sees it.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type {
  RegisterCommandName,
  RegisterCommands,
  RegisterLine,
  RegisterMemberOptions,
  ToldVoters,
} from "./register-protocol.ts";

const MEMBER = fileURLToPath(new URL("register-member.ts", import.meta.url));

/** It ended, or was ended, before it answered: what it did with the question nobody knows. */
export class ProcessEndedError extends Error {
  override readonly name = "ProcessEndedError";
}

type Ready = RegisterLine & { readonly event: "ready" };

export class RegisterProcess {
  readonly name: string;
  readonly owner: string;
  readonly listen: string;
  readonly logs: string[] = [];
  readonly #child: ChildProcess;
  readonly #answers = new Map<number, PromiseWithResolvers<unknown>>();
  #lastSerial = 0;
  #voters: ToldVoters;
  #connected: readonly string[] = [];

  /** Resolves when it listens. `onEvent` is called after each line that changes what can be seen of it, and at its end. */
  static async start(options: RegisterMemberOptions, onEvent: () => void): Promise<RegisterProcess> {
    const args = [MEMBER, JSON.stringify(options)];
    const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
    // A write to one that was killed.
    child.stdin.on("error", () => undefined);
    const began = Promise.withResolvers<RegisterProcess>();
    let begun: RegisterProcess | undefined;
    createInterface({ input: child.stdout }).on("line", (text) => {
      const line = parsed(text);
      if (line === undefined) return;
      if (line.event === "ready") {
        begun = new RegisterProcess(options.name, child, line);
        began.resolve(begun);
      } else {
        begun?.hear(line);
      }
      if (line.event !== "answer" && line.event !== "failed") onEvent();
    });
    child.once("close", () => {
      began.reject(new ProcessEndedError(`${options.name} ended before it listened`));
      begun?.ended();
      onEvent();
    });
    return await began.promise;
  }

  private constructor(name: string, child: ChildProcess, { owner, listen, list, seat }: Ready) {
    this.name = name;
    this.owner = owner;
    this.listen = listen;
    this.#child = child;
    this.#voters = { list, seat };
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The list that it goes by, and which of its voters it is. */
  get voters(): ToldVoters {
    return this.#voters;
  }

  /** Owners. */
  get connected(): readonly string[] {
    return this.#connected;
  }

  /** Rejects with `ProcessEndedError`, or with why the member did not do it. */
  ask<Name extends RegisterCommandName>(
    name: Name,
    ask: RegisterCommands[Name]["ask"],
  ): Promise<RegisterCommands[Name]["answer"]> {
    const answer = Promise.withResolvers<unknown>();
    if (!this.isRunning) answer.reject(new ProcessEndedError(`${this.name} does not run`));
    this.#lastSerial += 1;
    this.#answers.set(this.#lastSerial, answer);
    this.#child.stdin?.write(`${JSON.stringify({ serial: this.#lastSerial, do: name, ...ask })}\n`);
    return answer.promise as Promise<RegisterCommands[Name]["answer"]>;
  }

  /** Without a word: kill -9. */
  async kill(): Promise<void> {
    if (!this.isRunning) return;
    const closed = once(this.#child, "close");
    this.#child.kill("SIGKILL");
    await closed;
  }

  /** Its stdin ends, and so does it: a CPU profile is written, if Node was told to (`NODE_OPTIONS=--cpu-prof`). */
  async end(): Promise<void> {
    if (!this.isRunning) return;
    const closed = once(this.#child, "close");
    this.#child.stdin?.end();
    await closed;
  }

  /** As `kill`, without waiting. */
  abandon(): void {
    this.#child.kill("SIGKILL");
  }

  hear(line: Exclude<RegisterLine, Ready>): void {
    switch (line.event) {
      case "voters":
        this.#voters = { list: line.list, seat: line.seat };
        break;
      case "links":
        this.#connected = line.connected;
        break;
      case "log":
        this.logs.push(line.msg);
        break;
      case "answer":
        this.#take(line.serial)?.resolve(line.answer);
        break;
      case "failed":
        this.#take(line.serial)?.reject(new Error(line.reason));
        break;
      default:
        line satisfies never;
    }
  }

  ended(): void {
    const error = new ProcessEndedError(`${this.name} ended`);
    for (const answer of this.#answers.values()) answer.reject(error);
    this.#answers.clear();
  }

  #take(serial: number): PromiseWithResolvers<unknown> | undefined {
    const answer = this.#answers.get(serial);
    this.#answers.delete(serial);
    return answer;
  }
}

/** Undefined: the last line of one that was killed in the middle of it. */
function parsed(text: string): RegisterLine | undefined {
  try {
    return JSON.parse(text) as RegisterLine;
  } catch {
    return undefined;
  }
}
