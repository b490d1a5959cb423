// Member shell: what every measured program does alike: hears commands, answers them, keeps its books, and ends with its parent.

import { subscribe } from "node:diagnostics_channel";
import { lookup } from "node:dns/promises";
import type { Socket } from "node:net";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { messageOf } from "../../../../mesh/index.ts";
import type {
  Answers,
  CommandLine,
  CommandName,
  Commands,
  Load,
  MemberLine,
  MemberSetting,
  Usage,
} from "../protocol.ts";

/** Of the event loop's lag. Finer is more wake-ups: 50 a second cost a thousandth of a core. */
const LAG_RESOLUTION_MS = 20;

type Handlers = {
  readonly [Name in CommandName]?: (command: Commands[Name]) => Promise<Answers[Name]>;
};

/** A program that runs. */
export interface MemberProgram {
  readonly contact: string;
  readonly handlers: Handlers;
  /** Leaves nothing behind. */
  stop(): Promise<void>;
}

export interface MemberClock {
  /** Milliseconds since the origin. */
  nowMs(): number;
}

export type StartProgram = (setting: MemberSetting, clock: MemberClock) => Promise<MemberProgram>;

/** Runs until it is told to stop, or its standard input ends. */
export async function runMember(start: StartProgram): Promise<void> {
  const told = JSON.parse(process.argv[2] ?? "") as MemberSetting;
  const { address } = await lookup(told.address, { family: 4 });
  const setting = { ...told, address };
  const originNs = BigInt(setting.originNs);
  const clock: MemberClock = { nowMs: () => Number(process.hrtime.bigint() - originNs) / 1e6 };
  const books = new Books(clock);
  const program = await start(setting, clock);
  const stop = once(() => program.stop());
  const own: Handlers = {
    usage: async () => books.usage(),
    load: async () => books.load(),
    ...program.handlers,
    stop: async () => {
      await stop();
      return {};
    },
  };
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (line) => void obey(own, JSON.parse(line) as CommandLine));
  lines.once("close", () => {
    void stop().finally(() => process.exit(0));
  });
  say({ ready: program.contact });
}

async function obey(handlers: Handlers, command: CommandLine): Promise<void> {
  const { serial } = command;
  const handler = handlers[command.do] as ((command: unknown) => Promise<Answers[CommandName]>) | undefined;
  try {
    if (handler === undefined) throw new Error(`it cannot ${command.do}`);
    const answer = await handler(command);
    say({ serial, answer });
  } catch (error) {
    say({ serial, error: messageOf(error) });
  }
  // Its answer is on its way: what is left in a pipe is read though we are gone.
  if (command.do === "stop") process.stdout.write("", () => process.exit(0));
}

function say(line: MemberLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function once(act: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => {
    done ??= act();
    return done;
  };
}

/** CPU, memory, bytes over TCP, and how late the event loop is. */
class Books {
  readonly #clock: MemberClock;
  readonly #lag = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS });
  readonly #sockets = new Set<Socket>();
  #closedBytes = 0;

  constructor(clock: MemberClock) {
    this.#clock = clock;
    this.#lag.enable();
    for (const side of ["client", "server"])
      subscribe(`net.${side}.socket`, (message) => this.#watch((message as { socket: Socket }).socket));
  }

  usage(): Usage {
    const { user, system } = process.cpuUsage();
    const atMs = this.#clock.nowMs();
    return { atMs, cpuMs: (user + system) / 1e3, rssBytes: process.memoryUsage.rss() };
  }

  load(): Load {
    const [p50Ms, p99Ms] = [50, 99].map((share) => this.#lag.percentile(share) / 1e6 - LAG_RESOLUTION_MS);
    this.#lag.reset();
    const open = [...this.#sockets].reduce((sum, { bytesWritten }) => sum + bytesWritten, 0);
    const lag = { p50Ms: Math.max(0, p50Ms ?? 0), p99Ms: Math.max(0, p99Ms ?? 0) };
    return { sentBytes: this.#closedBytes + open, lag };
  }

  #watch(socket: Socket): void {
    if (this.#sockets.has(socket)) return;
    this.#sockets.add(socket);
    socket.once("close", () => {
      this.#sockets.delete(socket);
      this.#closedBytes += socket.bytesWritten;
    });
  }
}

/** Calls `write` for each time, as close to it as the event loop allows, whatever became of those before. */
export async function runSchedule(
  atMs: readonly number[],
  clock: MemberClock,
  write: (dueMs: number, at: number) => void,
): Promise<void> {
  for (const [at, dueMs] of atMs.entries()) {
    const waitMs = dueMs - clock.nowMs();
    if (waitMs > 0) await delay(waitMs);
    write(dueMs, at);
  }
}

/** Resolves once `isTrue`, looked at when the returned `look` is called, or after the time. */
export class Condition {
  readonly #looks = new Set<() => void>();

  look(): void {
    for (const look of this.#looks) look();
  }

  async until(isTrue: () => boolean, timeoutMs: number): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = (): void => {
      if (isTrue()) resolve();
    };
    const timer = setTimeout(resolve, timeoutMs);
    this.#looks.add(look);
    look();
    await promise;
    clearTimeout(timer);
    this.#looks.delete(look);
    return isTrue();
  }
}
