// Bench command: what all measurements have in common on the command line: numbers within bounds, a seed that is printed, one JSON
// value with --json, and the load of the machine beside each result, without which no time means anything.

import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import { messageOf } from "../../mesh/result.ts";
import { percentile } from "../../mesh/sim/quantiles.ts";
import { NetLab } from "../harness/net-lab.ts";

interface NumberOption {
  readonly value: number;
  readonly min: number;
  readonly max: number;
}

export interface BenchSpec<Numbers extends string, Texts extends string> {
  readonly help: string;
  readonly numbers: Readonly<Record<Numbers, NumberOption>>;
  readonly texts: Readonly<Record<Texts, string>>;
}

export interface BenchCommand<Numbers extends string, Texts extends string> {
  readonly numbers: Readonly<Record<Numbers, number>>;
  readonly texts: Readonly<Record<Texts, string>>;
  readonly seed: number;
  readonly isJson: boolean;
  /** For people, while it runs; nothing with --json. */
  readonly say: (line: string) => void;
}

/** Of a wait for what must come, on a machine that does much else: a target that is missed is for the report to say. */
export const PATIENCE_MS = 180_000;

/** Its user's mistake: exit code 2. */
export class BenchUsageError extends Error {}

/** The way a run ended. `isGood`: within its targets, exit code 0, else 1. */
export interface BenchResult {
  readonly report: object;
  /** For people, in place of the report as JSON. */
  readonly lines: readonly string[];
  readonly isGood: boolean;
}

/** Reads the command line, runs, prints, and sets the exit code: 0 within the targets, 1 not, 2 usage or something is missing. */
export async function runBench<Numbers extends string, Texts extends string>(
  spec: BenchSpec<Numbers, Texts>,
  run: (command: BenchCommand<Numbers, Texts>) => Promise<BenchResult>,
): Promise<void> {
  // So that what the run made is taken away (see `MeshProcesses.abandon`) at Ctrl-C too.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));
  process.exitCode = await benchExitCode(spec, process.argv.slice(2), run);
}

/** The same of a run that ends by itself at Ctrl-C. Resolves with the exit code. */
export async function benchExitCode<Numbers extends string, Texts extends string>(
  spec: BenchSpec<Numbers, Texts>,
  argv: readonly string[],
  run: (command: BenchCommand<Numbers, Texts>) => Promise<BenchResult>,
): Promise<number> {
  try {
    const command = readCommand(spec, argv);
    if (command === "help") {
      process.stdout.write(`${spec.help}\n`);
      return 0;
    }
    command.say(`seed ${command.seed}, load ${loadNow()}`);
    const { report, lines, isGood } = await run(command);
    const all = { seed: command.seed, load: loadNow(), ...report, isGood };
    if (command.isJson) process.stdout.write(`${JSON.stringify(all)}\n`);
    else
      for (const line of [
        ...lines,
        `load ${loadNow()}: ${isGood ? "within the targets" : "NOT within the targets"}`,
      ])
        command.say(line);
    return isGood ? 0 : 1;
  } catch (error) {
    if (!(error instanceof BenchUsageError)) throw error;
    process.stderr.write(`${error.message}\n\n${spec.help}\n`);
    if (argv.includes("--json"))
      process.stdout.write(
        `${JSON.stringify({ error: { code: "invalid", message: error.message }, exitCode: 2 })}\n`,
      );
    return 2;
  }
}

/** Throws what is missing. */
export function requireLab(): void {
  const missing = NetLab.missing();
  if (missing !== undefined) throw new BenchUsageError(`this measurement cannot run here: ${missing}`);
}

function readCommand<Numbers extends string, Texts extends string>(
  { numbers, texts }: BenchSpec<Numbers, Texts>,
  args: readonly string[],
): BenchCommand<Numbers, Texts> | "help" {
  const names = [...Object.keys(numbers), ...Object.keys(texts), "seed"];
  const text = names.map((name) => [name, { type: "string" }] as const);
  const flags = ["json", "help"].map((name) => [name, { type: "boolean" }] as const);
  const given = parse(Object.fromEntries([...text, ...flags]), args);
  if (given["help"] === true) return "help";
  const numberOf = (name: string, { value, min, max }: NumberOption) =>
    wholeNumber(name, given[name] ?? String(value), min, max);
  const random = Math.floor(Math.random() * 2 ** 31);
  const isJson = given["json"] === true;
  return {
    numbers: mapValues(numbers, numberOf),
    texts: mapValues(texts, (name, value) => String(given[name] ?? value)),
    seed: numberOf("seed", { value: random, min: 0, max: 2 ** 32 - 1 }),
    isJson,
    say: (line) => void (isJson || process.stdout.write(`${line}\n`)),
  };
}

type Given = Readonly<Record<string, string | boolean | undefined>>;

function parse(
  options: Readonly<Record<string, { readonly type: "string" | "boolean" }>>,
  args: readonly string[],
): Given {
  try {
    return parseArgs({ options, args: [...args] }).values as Given;
  } catch (error) {
    throw new BenchUsageError(messageOf(error));
  }
}

function wholeNumber(name: string, text: string | boolean, min: number, max: number): number {
  const value = typeof text === "string" && text.trim() !== "" ? Number(text) : Number.NaN;
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new BenchUsageError(`--${name}: a whole number from ${min} to ${max}, not "${text}"`);
}

function mapValues<Key extends string, From, To>(
  record: Readonly<Record<Key, From>>,
  change: (key: string, value: From) => To,
): Record<Key, To> {
  const entries = Object.entries<From>(record).map(([key, value]) => [key, change(key, value)]);
  return Object.fromEntries(entries) as Record<Key, To>;
}

function loadNow(): string {
  return loadavg()
    .map((value) => value.toFixed(1))
    .join(" ");
}

/** NaN of nothing: within no target. */
interface Percentiles {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

export function percentiles(values: readonly number[]): Percentiles {
  const sorted = values.toSorted((left, right) => left - right);
  const at = (share: number) => percentile(sorted, share);
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
}

/** m0, m1, … */
export function memberNames(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `m${index}`);
}
