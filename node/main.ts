// The host agent: puts its parts together in the order that keeps what it promises, and takes them apart again.

import { type Logger, pino } from "pino";
import { describeConfigErrors, logOutput, makeStateFolder, StateFolderError } from "../mesh/index.ts";
import { Agent } from "./agent.ts";
import { ListenError } from "./api/listen.ts";
import { readAgentConfig } from "./config/agent-config.ts";
import { StateLockedError } from "./state-lock.ts";

export interface AgentArguments {
  readonly config: string;
  /** Stop, with our VMs, when stdin ends: the supervisor of a dev cluster is gone. */
  readonly exitWithParent: boolean;
  /** Stop our VMs at a signal too: they would be killed after us, as in a container, which ends with its first process. */
  readonly stopVms: boolean;
}

/** Runs until SIGTERM, SIGINT or SIGHUP, which leave the VMs running unless told else, or the end of the parent. Resolves with the exit code. */
export async function runAgent(args: AgentArguments): Promise<number> {
  const config = readAgentConfig(args.config);
  if (!config.ok) {
    process.stderr.write(`${describeConfigErrors(config.error)}\n`);
    return 2;
  }
  const output = logOutput();
  const logger = pino({ level: config.value.logLevel, base: { member: config.value.name } }, output);
  const end = endOfLife(args.exitWithParent);
  try {
    makeStateFolder(config.value.stateDir);
    const agent = await Agent.start(config.value, { logger, recentLog: () => output.recent() });
    const why = await end;
    logger.info({ why }, "agent stops");
    await agent.stop({ withVms: args.stopVms || why === "parent" });
    return 0;
  } catch (error) {
    return refuse(error, logger);
  } finally {
    // It would keep the process for as long as the parent lives.
    if (args.exitWithParent) process.stdin.destroy();
  }
}

function refuse(error: unknown, logger: Logger): number {
  const isOfConfig =
    error instanceof ListenError || error instanceof StateLockedError || error instanceof StateFolderError;
  if (isOfConfig) {
    process.stderr.write(`grapevine agent: ${error.message}\n`);
    return 2;
  }
  logger.fatal({ err: error }, "agent failed");
  return 1;
}

function endOfLife(exitWithParent: boolean): Promise<"signal" | "parent"> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
      process.on(signal, () => resolve("signal"));
    if (!exitWithParent) return;
    process.stdin.resume();
    process.stdin.once("close", () => resolve("parent"));
    process.stdin.once("end", () => resolve("parent"));
    process.stdin.once("error", () => resolve("parent"));
  });
}
