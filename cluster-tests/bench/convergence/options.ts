// Options of `grapevine bench convergence`: what they may be, and what to write instead.

import { Command, CommanderError, InvalidArgumentError } from "commander";
import { FLOORS, type Floor } from "./system.ts";

const DRIVERS = ["process", "container"] as const;
export type Driver = (typeof DRIVERS)[number];

/** Each is a process with a libp2p node of some 125 MB. */
const MEMBERS_MAX = 32;
const RATE_MAX = 1_000;
const SECONDS_MAX = 3_600;
const ROUNDS_MAX = 100;
const SEED_MAX = 2 ** 32 - 1;

export interface BenchOptions {
  readonly hosts: number;
  readonly proxies: number;
  /** Writes a second, of all hosts together. */
  readonly rate: number;
  /** Of each system in each round, without the warm-up. */
  readonly seconds: number;
  readonly rounds: number;
  readonly driver: Driver;
  readonly seed: number;
  readonly floors: readonly Floor[];
  readonly json: boolean;
  /** File to write; null: none. */
  readonly html: string | null;
  /** Folder for a CPU profile of each member; null: none. */
  readonly profile: string | null;
}

/** A number: the exit code, all is said already. */
export function parseOptions(argv: readonly string[]): BenchOptions | number {
  const program = createProgram();
  try {
    program.parse([...argv], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 0;
    if (argv.includes("--json")) printJsonError(error.message.replace(/^error: /, ""));
    return 2;
  }
  const parsed = program.opts<Omit<BenchOptions, "json" | "html" | "profile"> & Partial<BenchOptions>>();
  return {
    ...parsed,
    json: parsed.json === true,
    html: parsed.html ?? null,
    profile: parsed.profile ?? null,
  };
}

export function printJsonError(message: string): void {
  process.stdout.write(`${JSON.stringify({ error: { code: "invalid", message }, exitCode: 2 })}\n`);
}

function createProgram(): Command {
  return new Command("grapevine bench convergence")
    .description(
      "Measures how soon a VM's change is in force at every proxy: real agents and proxies, open loop, beside what the\nmachine can do at best (raw TCP, libp2p streams) and Serf where it is installed, in interleaved rounds.",
    )
    .option("--hosts <count>", "host agents, which write", whole(1, MEMBERS_MAX), 8)
    .option("--proxies <count>", "proxies, whose tables count", whole(1, MEMBERS_MAX), 8)
    .option("--rate <count>", "writes a second, of all hosts together", whole(1, RATE_MAX), 10)
    .option("--seconds <count>", "that each system is measured in each round", whole(1, SECONDS_MAX), 20)
    .option("--rounds <count>", "of all systems, each started anew, one at a time", whole(1, ROUNDS_MAX), 5)
    .option(
      "--driver <name>",
      "where members run: process, or container (needs a Docker engine)",
      oneOf(DRIVERS),
      "process",
    )
    .option(
      "--seed <number>",
      "of the times and hosts of all writes (default: random, and printed)",
      whole(0, SEED_MAX),
      randomSeed(),
    )
    .option("--floors <list>", "what to compare with, of raw,streams,serf; or none", floorList, FLOORS)
    .option("--json", "print one JSON object, and nothing else")
    .option("--html <file>", "write a page with plots, readable without a network")
    .option("--profile <folder>", "write a CPU profile of each member there")
    .showHelpAfterError("`grapevine bench convergence --help` shows the options.")
    .addHelpText(
      "after",
      "\nExit codes: 0 nothing was lost, 1 something was lost or a member failed, 2 usage.\n\nExamples:\n  grapevine bench convergence\n  grapevine bench convergence --hosts 16 --proxies 16 --rate 20 --html bench.html\n  grapevine bench convergence --rounds 1 --seconds 5 --floors none\n  grapevine bench convergence --hosts 4 --proxies 4 --driver container",
    )
    .exitOverride();
}

function randomSeed(): number {
  return Math.floor(Math.random() * 2 ** 31);
}

function whole(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d{1,10}$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(
      `It must be a whole number from ${min} to ${max}, for example ${Math.max(min, Math.min(8, max))}.`,
    );
  };
}

function oneOf<Name extends string>(names: readonly Name[]): (text: string) => Name {
  return (text) => {
    const found = names.find((name) => name === text);
    if (found !== undefined) return found;
    throw new InvalidArgumentError(`It must be one of ${names.join(", ")}, for example ${names[0]}.`);
  };
}

function floorList(text: string): readonly Floor[] {
  if (text === "none") return [];
  return text.split(",").map(oneOf(FLOORS));
}
