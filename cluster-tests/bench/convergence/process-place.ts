// Process place: members as processes of this machine, on loopback, each with a folder of its own.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { MemberSpec, Place, PlacedMember } from "./place.ts";
import type {
  Answers,
  CommandLine,
  CommandName,
  Commands,
  MemberLine,
  MemberSetting,
  Program,
  Usage,
} from "./protocol.ts";

/** From "stop" to SIGKILL: an agent takes 0.3 s to say goodbye. */
const STOP_TIMEOUT_MS = 5_000;
const LAST_WORDS_CHARS = 2_000;

const MAINS = {
  host: "members/host.ts",
  proxy: "members/proxy.ts",
  raw: "members/raw.ts",
  streams: "members/streams.ts",
  serf: "members/serf.ts",
} as const satisfies Record<Program, string>;

export interface ProcessPlaceOptions {
  readonly originNs: bigint;
  /** A folder for a CPU profile of each member; null: none is taken. */
  readonly profileFolder: string | null;
  /** Ends all waits. */
  readonly signal: AbortSignal;
}

export class ProcessPlace implements Place {
  readonly #options: ProcessPlaceOptions;
  readonly #folder: string = mkdtempSync(join(tmpdir(), "grapevine-bench-"));
  readonly #members = new Set<MemberProcess>();

  constructor(options: ProcessPlaceOptions) {
    this.#options = options;
  }

  async start({ name, program, config }: MemberSpec): Promise<PlacedMember> {
    const { originNs, profileFolder, signal } = this.#options;
    signal.throwIfAborted();
    const folder = join(this.#folder, name);
    mkdirSync(folder);
    const address = "127.0.0.1";
    const setting = { name, program, address, folder, originNs: String(originNs), config };
    const member = new MemberProcess(setting, profileFolder, signal);
    this.#members.add(member);
    await member.ready;
    return member;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#members].map((member) => member.stop()));
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

class MemberProcess implements PlacedMember {
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

  constructor(setting: MemberSetting, profileFolder: string | null, signal: AbortSignal) {
    this.name = setting.name;
    this.#signal = signal;
    const main = fileURLToPath(new URL(MAINS[setting.program], import.meta.url));
    const profile = profileFolder === null ? [] : profileArguments(profileFolder, setting.name);
    // Detached: Ctrl-C reaches us alone, and we end the members. They end by themselves when their standard input does.
    const child = spawn(process.execPath, [...profile, main, JSON.stringify(setting)], {
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
    });
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

function profileArguments(folder: string, name: string): readonly string[] {
  return ["--cpu-prof", "--cpu-prof-dir", folder, "--cpu-prof-name", `${name}.cpuprofile`];
}
