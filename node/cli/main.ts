// Main: the command line: `grapevine COMMAND …`. Each command is loaded when it is called, so that `status` is not slowed
// by what `agent` needs.

import { existsSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { Command, CommanderError } from "commander";
import { EXIT } from "./exit-code.ts";
import { EXIT_CODES, type SetExitCode } from "./program/asking.ts";
import { addDeployCommands } from "./program/deploy-commands.ts";
import { addEntryCommands } from "./program/entry-commands.ts";
import { addHostCommands } from "./program/host-commands.ts";
import { addIntrospectCommands } from "./program/introspect-commands.ts";
import { addLocalCommands } from "./program/local-commands.ts";
import { addMemberCommands } from "./program/member-commands.ts";
import { addProxyCommands } from "./program/proxy-commands.ts";
import { addShowCommands } from "./program/show-commands.ts";
import { addVoterCommands } from "./program/voter-commands.ts";

/** Resolves with the exit code. `argv` is what follows "grapevine". */
export async function main(argv: readonly string[]): Promise<number> {
  // Compiled code is kept between runs: it halves the CPU that an agent's start costs (0.9 s to 0.45 s, measured).
  enableCompileCache();
  endQuietlyWithoutReader();
  if (argv[0] === "proxy" && !isOfProxy(argv[1]))
    return (await proxyPart<{ runProxy: Run }>("main.ts")).runProxy(argv.slice(1));
  if (argv[0] === "gate") return (await proxyPart<{ runGate: Run }>("gate-main.ts")).runGate(argv.slice(1));
  if (argv[0] === "bench" && BENCHES.includes(argv[1] ?? "")) return runBench(argv.slice(1));
  let exitCode: number = EXIT.done;
  const program = createProgram((code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync([...argv], { from: "user" });
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return EXIT.done;
    if (argv.includes("--json")) printUsageError(error.message);
    return EXIT.usage;
  }
}

/** Commander has told it on standard error already. */
function printUsageError(told: string): void {
  const error = { code: "invalid", message: told.replace(/^error: /, "") };
  process.stdout.write(`${JSON.stringify({ error, exitCode: EXIT.usage })}\n`);
}

function createProgram(setExitCode: SetExitCode): Command {
  const program = new Command("grapevine")
    .description("Service discovery by gossip, and deploys without a failed request.")
    .showHelpAfterError("`grapevine help COMMAND` shows how to write it.")
    .exitOverride()
    .addHelpText("after", EXIT_CODES);
  addDeployCommands(program, setExitCode);
  addShowCommands(program, setExitCode);
  addIntrospectCommands(program, setExitCode);
  addEntryCommands(program, setExitCode);
  addHostCommands(program, setExitCode);
  addVoterCommands(program, setExitCode);
  addProxyCommands(program, setExitCode);
  addMemberCommands(program, setExitCode);
  addLocalCommands(program, setExitCode);
  return program;
}

/** What is said of a proxy, beside running one. */
function isOfProxy(verb: string | undefined): boolean {
  return verb === "exclude" || verb === "include";
}

type Run = (argv: readonly string[]) => Promise<number>;

/** node and proxy-agent share nothing but mesh. This is the one place that names both, by address, not by import. */
async function proxyPart<Part>(file: string): Promise<Part> {
  return import(new URL(`../../proxy-agent/${file}`, import.meta.url).href);
}

/** The word that follows "bench" is the name of a folder in cluster-tests/bench. */
const BENCHES: readonly string[] = ["convergence", "deploy-overhead"];

/** It starts agents and proxies alike, and belongs to the tests: production does not import those. */
async function runBench([name = "", ...argv]: readonly string[]): Promise<number> {
  const file = new URL(`../../cluster-tests/bench/${name}/main.ts`, import.meta.url);
  if (!existsSync(file)) {
    const message = "it is not part of the image: run it in a checkout of Grapevine's repository";
    process.stderr.write(`grapevine bench ${name}: ${message}\n`);
    if (argv.includes("--json")) printUsageError(message);
    return EXIT.usage;
  }
  const bench: { runBench: Run } = await import(file.href);
  return bench.runBench(argv);
}

/** `grapevine logs … | head`: the reader has what it wanted. */
function endQuietlyWithoutReader(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(EXIT.done);
    throw error;
  });
}

// The supervisor of a dev cluster runs this file itself: a member is then one process, with no wrapper around it.
if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
