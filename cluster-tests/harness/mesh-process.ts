// Mesh process: one life of one member, from its start to its end, as its test sees it.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { ChangeWatch } from "./change-watch.ts";
import type { MeshCommand, MeshDump, MeshLine, MeshMemberOptions } from "./mesh-protocol.ts";

const MEMBER = fileURLToPath(new URL("mesh-member.ts", import.meta.url));

type Ready = MeshLine & { readonly event: "ready" };
type Answer = MeshLine & { readonly event: "answer" };

export class MeshProcess {
  readonly name: string;
  readonly owner: string;
  readonly port: number;
  readonly watch: ChangeWatch;
  readonly logs: string[] = [];
  readonly #child: ChildProcess;
  readonly #answers: PromiseWithResolvers<Answer>[] = [];
  readonly #onEvent: () => void;
  /** Of others, as they came. */
  readonly judgements: (MeshLine & { readonly event: "judged" })[] = [];
  #connected: readonly string[] = [];
  #metrics: MeshDump["metrics"] = {};

  /** Resolves when it listens. `prefix` begins its command line. `onEvent` is called after each line of its, and at its end. */
  static async start(
    options: MeshMemberOptions,
    prefix: readonly string[],
    onEvent: () => void,
  ): Promise<MeshProcess> {
    const [command = "", ...rest] = [...prefix, process.execPath, MEMBER, JSON.stringify(options)];
    const child = spawn(command, rest, { stdio: ["pipe", "pipe", "inherit"] });
    // A write to one that was killed.
    child.stdin.on("error", () => undefined);
    const lines = createInterface({ input: child.stdout });
    const began = Promise.withResolvers<MeshProcess>();
    let begun: MeshProcess | undefined;
    lines.on("line", (text) => {
      const line = JSON.parse(text) as MeshLine;
      if (line.event === "ready") {
        begun = new MeshProcess({ name: options.name, child, ready: line, onEvent });
        began.resolve(begun);
      } else {
        begun?.hear(line);
      }
      onEvent();
    });
    child.once("close", () => {
      began.reject(new Error(`${options.name} ended before it listened`));
      begun?.ended();
    });
    return await began.promise;
  }

  private constructor(parts: {
    readonly name: string;
    readonly child: ChildProcess;
    readonly ready: Ready;
    readonly onEvent: () => void;
  }) {
    const { ready } = parts;
    this.name = parts.name;
    this.owner = ready.owner;
    this.port = Number(ready.listen.split("/")[4]);
    this.watch = new ChangeWatch(parts.name, ready.dump.entries);
    this.#child = parts.child;
    this.#onEvent = parts.onEvent;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Owners of its view that it is connected to, itself among them. */
  get connected(): readonly string[] {
    return this.#connected;
  }

  /** The last judgement of that owner. */
  stateOf(owner: string): string {
    return this.judgements.findLast((judged) => judged.owner === owner)?.state ?? "alive";
  }

  /** As of a moment ago, or of the last dump. */
  get metrics(): MeshDump["metrics"] {
    return this.#metrics;
  }

  /** Commands are answered in order. Rejects when the process ends first. */
  ask(command: MeshCommand): Promise<Answer> {
    const answer = Promise.withResolvers<Answer>();
    if (!this.isRunning) answer.reject(new Error(`${this.name} does not run`));
    this.#answers.push(answer);
    this.#child.stdin?.write(`${JSON.stringify(command)}\n`);
    return answer.promise;
  }

  async dump(): Promise<MeshDump> {
    const { dump } = await this.ask({ do: "dump" });
    if (dump === undefined) throw new Error(`${this.name} answered a dump without one`);
    return dump;
  }

  /** Without a word: kill -9. */
  async kill(): Promise<void> {
    if (!this.isRunning) return;
    const closed = once(this.#child, "close");
    this.#child.kill("SIGKILL");
    await closed;
  }

  /** As `kill`, without waiting. */
  end(): void {
    this.#child.kill("SIGKILL");
  }

  /** As an operator stops it. */
  async stop(): Promise<void> {
    const closed = once(this.#child, "close");
    await this.ask({ do: "stop" });
    await closed;
  }

  freeze(): void {
    this.#child.kill("SIGSTOP");
  }

  thaw(): void {
    this.#child.kill("SIGCONT");
  }

  /**
   * From now on no byte of it reaches any file: each write fails, as on a full disk (with EFBIG in the place of ENOSPC,
   * for which a file system of its own would be needed). Its pipes and sockets are none.
   */
  fillDisk(): void {
    execFileSync("prlimit", ["--pid", String(this.#child.pid), "--fsize=0:"]);
  }

  freeDisk(): void {
    execFileSync("prlimit", ["--pid", String(this.#child.pid), "--fsize=unlimited:"]);
  }

  hear(line: Exclude<MeshLine, Ready>): void {
    switch (line.event) {
      case "change":
        this.watch.see(line);
        break;
      case "links":
        this.#connected = line.connected;
        break;
      case "judged":
        this.judgements.push(line);
        break;
      case "metrics":
        this.#metrics = line.metrics;
        break;
      case "log":
        this.logs.push(line.msg);
        break;
      case "answer":
        this.#metrics = line.dump?.metrics ?? this.#metrics;
        this.#answers.shift()?.resolve(line);
        break;
      default:
        line satisfies never;
    }
  }

  ended(): void {
    const error = new Error(`${this.name} ended`);
    for (const answer of this.#answers.splice(0)) answer.reject(error);
    this.#onEvent();
  }
}
