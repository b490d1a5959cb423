// Main: the command line: `grapevine COMMAND …`. What a command needs is loaded when it is called, so that neither `status` is slowed by
// what `agent` needs nor the start of a gate by what commands need.

import { existsSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { EXIT } from "./exit-code.ts";
import { proxyPart } from "./proxy-part.ts";
import { printUsageError } from "./usage-error.ts";

/** Resolves with the exit code. `argv` is what follows "grapevine". */
export async function main(argv: readonly string[]): Promise<number> {
  // Compiled code is kept between runs: it halves the CPU that an agent's start costs (0.9 s to 0.45 s, measured).
  enableCompileCache();
  endQuietlyWithoutReader();
  if (argv[0] === "proxy" && !isOfProxy(argv[1]))
    return (await proxyPart<{ runProxy: Run }>("main.ts")).runProxy(argv.slice(1));
  if (argv[0] === "gate") return (await proxyPart<{ runGate: Run }>("gate-main.ts")).runGate(argv.slice(1));
  if (argv[0] === "bench" && BENCHES.includes(argv[1] ?? "")) return runBench(argv.slice(1));
  const { runCommand } = await import("./program/run-command.ts");
  return runCommand(argv);
}

/** What is said of a proxy, beside running one. */
function isOfProxy(verb: string | undefined): boolean {
  return verb === "exclude" || verb === "include";
}

type Run = (argv: readonly string[]) => Promise<number>;

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

/** `grapevine logs … | head`: the reader has what it wanted. A disk that is full: nobody learns of the end, which is not known. */
function endQuietlyWithoutReader(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(EXIT.done);
    process.stderr.write(
      `grapevine: standard output cannot be written (${error.code ?? error.message}): what was asked for goes on\n`,
    );
    process.exit(EXIT.timedOut);
  });
}

// The supervisor of a dev cluster runs this file itself: a member is then one process, with no wrapper around it.
if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
