// Run member: what `grapevine proxy` and `grapevine gate` have in common: from the command line to a process that serves, until a signal
// ends it, and the exit code.

import { rename, writeFile } from "node:fs/promises";
import { Command, CommanderError } from "commander";
import { type Logger, pino } from "pino";
import {
  type ConfigError,
  describeConfigErrors,
  logOutput,
  type MemberConfig,
  type Result,
  StateFolderError,
} from "../../mesh/index.ts";
import { listenForEnd } from "./end-of-life.ts";
import { ListenError } from "./listen-error.ts";

/** Design, section 9: usage or configuration. */
const EXIT_USAGE = 2;
const EXIT_FAILED = 1;

export interface Log {
  readonly logger: Logger;
  /** The last lines that it wrote. */
  readonly recentLog: () => string;
}

export interface MemberProgram<Config> {
  readonly word: "proxy" | "gate";
  readonly description: string;
  /** What SIGTERM and SIGINT do, for people. */
  readonly end: string;
  readonly readConfig: (file: string) => Result<Config, readonly ConfigError[]>;
  /** Whose log it is. */
  readonly nameOf: (config: Config) => string;
  /** Resolves once all is closed, after `signal` said to end. */
  readonly serve: (config: Config, log: Log, signal: AbortSignal) => Promise<void>;
}

/** `argv` is what follows the word. Resolves to the exit code once all is closed. */
export async function runMember<Config extends Pick<MemberConfig, "logLevel">>(
  program: MemberProgram<Config>,
  argv: readonly string[],
): Promise<number> {
  const command = commandOf(program);
  try {
    command.parse(argv, { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
    throw error;
  }
  const options = command.opts<{ config: string; exitWithParent?: boolean }>();
  const config = program.readConfig(options.config);
  if (!config.ok) {
    process.stderr.write(`${describeConfigErrors(config.error)}\n`);
    return EXIT_USAGE;
  }
  return untilEnded(program, config.value, options.exitWithParent === true);
}

function commandOf({
  word,
  description,
  end,
}: Pick<MemberProgram<never>, "word" | "description" | "end">): Command {
  return new Command(`grapevine ${word}`)
    .description(description)
    .requiredOption("--config <file>", "its configuration, TOML (docs/config.md)")
    .option("--exit-with-parent", "end as on SIGTERM when standard input ends")
    .addHelpText("after", `\nSIGTERM and SIGINT: ${end}`)
    .exitOverride();
}

async function untilEnded<Config extends Pick<MemberConfig, "logLevel">>(
  { word, nameOf, serve }: MemberProgram<Config>,
  config: Config,
  exitsWithParent: boolean,
): Promise<number> {
  const output = logOutput();
  const logger = pino({ level: config.logLevel, base: { [word]: nameOf(config) } }, output);
  const ending = listenForEnd(exitsWithParent);
  try {
    await serve(config, { logger, recentLog: () => output.recent() }, ending.signal);
    return 0;
  } catch (error) {
    if (ending.signal.aborted && error === ending.signal.reason) return 0;
    if (error instanceof ListenError || error instanceof StateFolderError) {
      process.stderr.write(`grapevine ${word}: ${error.message}\n`);
      return EXIT_USAGE;
    }
    logger.fatal({ err: error }, `${word} failed`);
    return EXIT_FAILED;
  } finally {
    ending.stop();
  }
}

/** What a supervisor or a test reads to find it: all of it is there, or nothing. */
export async function writeReady(file: string, ready: object): Promise<void> {
  await writeFile(`${file}.tmp`, `${JSON.stringify(ready)}\n`);
  await rename(`${file}.tmp`, file);
}
