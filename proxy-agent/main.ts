// Main: `grapevine proxy --config FILE`, from the file to a proxy that serves, until a signal ends it.

import { rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { Command, CommanderError } from "commander";
import { type Logger, pino } from "pino";
import {
  describeConfigErrors,
  type HostPort,
  logOutput,
  makeStateFolder,
  parseHostPort,
  Registers,
  StateFolderError,
  startMesh,
  toMultiaddr,
} from "../mesh/index.ts";
import { type ProxyConfig, publicConfig, readProxyConfig } from "./config.ts";
import { aborted, listenForEnd } from "./io/end-of-life.ts";
import { ListenError } from "./io/listen-error.ts";
import { openServingMark } from "./io/serving-mark.ts";
import { PROXY_TIMING, type ProxyOptions, type RunningProxy, reservePort, startProxy } from "./proxy.ts";

/** Design, section 9: usage or configuration. */
const EXIT_USAGE = 2;
const EXIT_FAILED = 1;
/** What a supervisor or a test reads to find the proxy: written once it serves, gone once it does not. */
const READY_FILE = "proxy.json";

/** `argv` is what follows "proxy". Resolves to the exit code once all is closed. */
export async function runProxy(argv: readonly string[]): Promise<number> {
  const command = proxyCommand();
  try {
    command.parse(argv, { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
    throw error;
  }
  const options = command.opts<{ config: string; exitWithParent?: boolean }>();
  const config = readProxyConfig(options.config);
  if (!config.ok) {
    process.stderr.write(`${describeConfigErrors(config.error)}\n`);
    return EXIT_USAGE;
  }
  return untilEnded(config.value, options.exitWithParent === true);
}

function proxyCommand(): Command {
  return new Command("grapevine proxy")
    .description(
      "Runs a proxy: routes requests by Host to the VMs of each app, and acknowledges what it routes.",
    )
    .requiredOption("--config <file>", "its configuration, TOML (docs/config.md)")
    .option("--exit-with-parent", "end as on SIGTERM when standard input ends")
    .addHelpText(
      "after",
      "\nSIGTERM and SIGINT: takes no new connection, finishes what runs for at most 10 s, leaves the cluster, exits 0.",
    )
    .exitOverride();
}

async function untilEnded(config: ProxyConfig, exitsWithParent: boolean): Promise<number> {
  const output = logOutput();
  const logger = pino({ level: config.logLevel, base: { proxy: config.name } }, output);
  const ending = listenForEnd(exitsWithParent);
  try {
    await serve(config, { logger, recentLog: () => output.recent() }, ending.signal);
    return 0;
  } catch (error) {
    if (ending.signal.aborted && error === ending.signal.reason) return 0;
    if (error instanceof ListenError || error instanceof StateFolderError) {
      process.stderr.write(`grapevine proxy: ${error.message}\n`);
      return EXIT_USAGE;
    }
    logger.fatal({ err: error }, "proxy failed");
    return EXIT_FAILED;
  } finally {
    ending.stop();
  }
}

interface Log {
  readonly logger: Logger;
  /** The last lines that it wrote. */
  readonly recentLog: () => string;
}

async function serve(config: ProxyConfig, { logger, recentLog }: Log, signal: AbortSignal): Promise<void> {
  const { cluster, name, stateDir } = config;
  makeStateFolder(stateDir, 0o700);
  const readyFile = path.join(stateDir, READY_FILE);
  await rm(readyFile, { force: true });
  // Before anything meets the cluster: a second start of a proxy that runs must not disturb it.
  await reservePort(config.http);
  await reservePort(config.admin);
  await reservePort(hostPortOf(config.listen));
  const listen = [toMultiaddr(config.listen)];
  const advertise = config.advertise.map(toMultiaddr);
  const seeds = config.seeds.map(toMultiaddr);
  const mesh = await startMesh(
    { cluster, name, role: "proxy", stateDir, listen, advertise, seeds },
    { logger },
  );
  try {
    const deps = {
      mesh,
      registers: new Registers({ cluster }, { mesh, logger }),
      mark: openServingMark(stateDir, logger),
      meshCounters: () => mesh.metrics(),
      config: publicConfig(config),
      recentLog,
      logger,
    };
    const proxy = await startProxy({ ...config, gate: gateOf(config), timing: PROXY_TIMING }, deps, signal);
    await writeReady(readyFile, config, proxy);
    await aborted(signal);
    logger.info("proxy stops");
    await rm(readyFile, { force: true });
    await proxy.stop();
  } finally {
    await mesh.stop();
  }
}

function gateOf({ cluster, gateSocket }: ProxyConfig): ProxyOptions["gate"] {
  return gateSocket === null ? null : { cluster, socket: gateSocket };
}

function hostPortOf(validated: string): HostPort {
  const parsed = parseHostPort(validated);
  if (!parsed.ok) throw new Error(`main: ${parsed.error}`);
  return parsed.value;
}

async function writeReady(file: string, { name }: ProxyConfig, { http, admin }: RunningProxy): Promise<void> {
  const text = `${JSON.stringify({ name, http, admin, pid: process.pid })}\n`;
  await writeFile(`${file}.tmp`, text);
  await rename(`${file}.tmp`, file);
}
