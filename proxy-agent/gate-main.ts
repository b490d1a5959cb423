// Gate main: `grapevine gate --config FILE`, from the file to a gate that listens, until a signal ends it.

import { rename, rm, writeFile } from "node:fs/promises";
import { flushCompileCache } from "node:module";
import path from "node:path";
import { Command, CommanderError } from "commander";
import { type Logger, pino } from "pino";
import { describeConfigErrors, logOutput, makeStateFolder, StateFolderError } from "../mesh/index.ts";
import { type RunningGate, startGate } from "./gate.ts";
import { type GateConfig, readGateConfig } from "./gate-config.ts";
import { aborted, listenForEnd } from "./io/end-of-life.ts";
import { ListenError } from "./io/listen-error.ts";

/** Design, section 9: usage or configuration. */
const EXIT_USAGE = 2;
const EXIT_FAILED = 1;
/** What a supervisor or a test reads to find the gate: written once it listens, gone once it does not. */
const READY_FILE = "gate.json";

/** `argv` is what follows "gate". Resolves to the exit code once all is closed. */
export async function runGate(argv: readonly string[]): Promise<number> {
  const command = gateCommand();
  try {
    command.parse(argv, { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
    throw error;
  }
  const options = command.opts<{ config: string; exitWithParent?: boolean }>();
  const config = readGateConfig(options.config);
  if (!config.ok) {
    process.stderr.write(`${describeConfigErrors(config.error)}\n`);
    return EXIT_USAGE;
  }
  const logger = pino({ level: config.value.logLevel, base: { gate: config.value.host } }, logOutput());
  const ending = listenForEnd(options.exitWithParent === true);
  try {
    await serve(config.value, logger, ending.signal);
    return 0;
  } catch (error) {
    if (error instanceof ListenError || error instanceof StateFolderError) {
      process.stderr.write(`grapevine gate: ${error.message}\n`);
      return EXIT_USAGE;
    }
    logger.fatal({ err: error }, "gate failed");
    return EXIT_FAILED;
  } finally {
    ending.stop();
  }
}

function gateCommand(): Command {
  return new Command("grapevine gate")
    .description("Runs the gate of a host: the listener by which proxies reach its VMs, beside its agent.")
    .requiredOption("--config <file>", "its configuration, TOML (docs/config.md)")
    .option("--exit-with-parent", "end as on SIGTERM when standard input ends")
    .addHelpText(
      "after",
      "\nSIGTERM and SIGINT: refuses what comes, finishes what runs for at most 10 s, exits 0. What it closed stays closed.",
    )
    .exitOverride();
}

async function serve(config: GateConfig, logger: Logger, signal: AbortSignal): Promise<void> {
  makeStateFolder(config.stateDir, 0o700);
  const readyFile = path.join(config.stateDir, READY_FILE);
  await rm(readyFile, { force: true });
  const gate = await startGate(config, { logger });
  await writeReady(readyFile, config, gate);
  // For the next start. Node keeps compiled code at its end, and a kill has none.
  flushCompileCache();
  await aborted(signal);
  logger.info("gate stops");
  await rm(readyFile, { force: true });
  await gate.stop();
}

async function writeReady(file: string, { host }: GateConfig, { address }: RunningGate): Promise<void> {
  const text = `${JSON.stringify({ host, address: `${address.host}:${address.port}`, pid: process.pid })}\n`;
  await writeFile(`${file}.tmp`, text);
  await rename(`${file}.tmp`, file);
}
