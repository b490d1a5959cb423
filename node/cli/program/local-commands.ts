// dev, demo, bench: a whole cluster on this machine. completions: what its shell offers.

import { Argument, type Command, InvalidArgumentError } from "commander";
import type { Shell } from "../completions.ts";
import type { SetExitCode } from "./asking.ts";

export function addLocalCommands(program: Command, setExitCode: SetExitCode): void {
  program
    .command("dev")
    .description("Runs a local cluster of real agents and proxies, until Ctrl-C.")
    .option("--hosts <count>", "host agents", wholeNumber, 3)
    .option("--proxies <count>", "proxies", wholeNumber, 2)
    .option("--state <dir>", "keep the cluster's state there (default: a temporary folder)")
    .option("--json", "print one line of JSON when it is ready, and nothing else")
    .addHelpText(
      "after",
      "\nExamples:\n  grapevine dev\n  grapevine dev --hosts 1 --proxies 1 --state .grapevine",
    )
    .action(async ({ hosts, proxies, state, json }: DevArguments) => {
      const { runDev } = await import("../dev/dev.ts");
      setExitCode(await runDev({ hosts, proxies, stateDir: state ?? null, json: json === true }));
    });
  program
    .command("demo")
    .description("Starts a cluster, deploys twice under steady traffic, and reports what the clients saw.")
    .option("--json", "print the report as one line of JSON")
    .action(async ({ json }: { json?: boolean }) => {
      const { runDemo } = await import("../demo/demo.ts");
      setExitCode(await runDemo({ json: json === true }));
    });
  // Never called: `main` has passed these on before. Here they are for the list of commands.
  const bench = program
    .command("bench")
    .description("Measures Grapevine itself, in a checkout of its repository.");
  bench
    .command("convergence")
    .description(
      "How soon a VM's change is in force at every proxy; see grapevine bench convergence --help.",
    );
  bench
    .command("deploy-overhead")
    .description(
      "How long a deploy takes beside what its VMs take; see grapevine bench deploy-overhead --help.",
    );
}

export function addCompletions(program: Command): void {
  program
    .command("completions")
    .description("Prints what a shell needs to complete commands and options of grapevine.")
    .addArgument(new Argument("<shell>").choices(["bash", "zsh", "fish"]))
    .addHelpText(
      "after",
      "\nExamples:\n  source <(grapevine completions bash)\n  grapevine completions fish | source",
    )
    .action(async (shell: Shell) => {
      process.stdout.write((await import("../completions.ts")).completionsOf(program, shell));
    });
}

interface DevArguments {
  readonly hosts: number;
  readonly proxies: number;
  readonly state?: string;
  readonly json?: boolean;
}

function wholeNumber(text: string): number {
  if (!/^\d{1,4}$/.test(text)) throw new InvalidArgumentError("It must be a whole number, for example 3.");
  return Number(text);
}
