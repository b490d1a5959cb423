// Main: the command line: `grapevine COMMAND …`. Each command is loaded when it is called, so that `status` is not slowed
// by what `agent` needs.

import { enableCompileCache } from "node:module";
import { Command, CommanderError, InvalidArgumentError } from "commander";
import type { DeployOptions, FollowedOptions } from "./commands/deploy.ts";
import type { EntryGetOptions, EntryWriteOptions } from "./commands/entries.ts";
import type { LogsOptions } from "./commands/show.ts";
import { EXIT } from "./exit-code.ts";
import type { ClientOptions } from "./session.ts";

const API_HELP =
  "agent to ask: http://HOST:PORT or the path of its unix socket (default: GRAPEVINE_API, then the dev cluster that runs)";
const JSON_HELP = "print JSON";

const EXIT_CODES = `
Exit codes:
  0  done          1  a start or a check failed; what ran before runs
  2  usage, configuration, or no agent reachable
  3  waited too long: a rollout went back, a write stands; or detached before the end
  4  locked by another rollout of the app
  5  aborted       6  done, except for members that are named`;

/** Resolves with the exit code. `argv` is what follows "grapevine". */
export async function main(argv: readonly string[]): Promise<number> {
  // Compiled code is kept between runs: it halves the CPU that an agent's start costs (0.9 s to 0.45 s, measured).
  enableCompileCache();
  endQuietlyWithoutReader();
  if (argv[0] === "proxy") return runProxyMember(argv.slice(1));
  if (argv[0] === "bench" && argv[1] === "convergence") return runConvergenceBench(argv.slice(2));
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

type SetExitCode = (code: number) => void;

function createProgram(setExitCode: SetExitCode): Command {
  const program = new Command("grapevine")
    .description("Service discovery by gossip, and deploys without a failed request.")
    .showHelpAfterError("`grapevine help COMMAND` shows how to write it.")
    .exitOverride()
    .addHelpText("after", EXIT_CODES);
  addDeployCommands(program, setExitCode);
  addShowCommands(program, setExitCode);
  addEntryCommands(program, setExitCode);
  addMemberCommands(program, setExitCode);
  addLocalCommands(program, setExitCode);
  return program;
}

/** A command under `parent` that asks an agent. */
function asking(parent: Command, usage: string, description: string, examples: string): Command {
  return parent
    .command(usage)
    .description(description)
    .option("--api <URL-or-socket>", API_HELP)
    .option("--json", JSON_HELP)
    .addHelpText("after", `\nExamples:\n${examples.replace(/^/gm, "  ")}`);
}

function addDeployCommands(program: Command, setExitCode: SetExitCode): void {
  const detachHelp = "return once it is submitted (exit code 3: the end is not known)";
  asking(
    program,
    "deploy <file>",
    "Deploys the app of an app file, and follows until the new release serves on every proxy.\nThe file's folder is what runs. Ctrl-C detaches; the rollout goes on.",
    "grapevine deploy app.toml\ngrapevine deploy docs/examples/hello/app.toml --wait-timeout 1m",
  )
    .option("--strategy <name>", "in place of the file's deploy.strategy: rolling")
    .option("--wait-timeout <duration>", "in place of the file's deploy.wait_timeout, for example 5m")
    .option("--detach", detachHelp)
    .addHelpText("after", EXIT_CODES)
    .action(async (file: string, options: DeployOptions) => {
      setExitCode(await (await import("./commands/deploy.ts")).deploy(file, options));
    });
  asking(
    program,
    "destroy <app>",
    "Stops all VMs of an app and removes its routes. Its release numbers are not used again.",
    "grapevine destroy hello",
  )
    .option("--detach", detachHelp)
    .action(async (app: string, options: FollowedOptions) => {
      setExitCode(await (await import("./commands/deploy.ts")).destroy(app, options));
    });
  const vm = program.command("vm").description("Single VMs.");
  asking(
    vm,
    "stop <vm>",
    "Takes a VM out of the routes, lets what runs on it finish, and stops it. The app goes on with one less.",
    "grapevine vm stop hello-v2-1",
  )
    .option("--detach", detachHelp)
    .action(async (name: string, options: FollowedOptions) => {
      setExitCode(await (await import("./commands/deploy.ts")).stopVm(name, options));
    });
}

function addShowCommands(program: Command, setExitCode: SetExitCode): void {
  const show = () => import("./commands/show.ts");
  asking(
    program,
    "status [app]",
    "Shows the apps, or one: its release, its VMs, its rollout, and whom that waits for.",
    "grapevine status\ngrapevine status hello --json",
  ).action(async (app: string | undefined, options: ClientOptions) => {
    setExitCode(await (await show()).status(app, options));
  });
  asking(
    program,
    "members",
    "Lists the hosts and proxies of the cluster.",
    "grapevine members --json",
  ).action(async (options: ClientOptions) => setExitCode(await (await show()).members(options)));
  asking(program, "vms", "Lists the VMs of all hosts.", "grapevine vms").action(
    async (options: ClientOptions) => setExitCode(await (await show()).vms(options)),
  );
  asking(
    program,
    "routes",
    "Shows what the proxies route where, as they say themselves, and which of them are behind.",
    "grapevine routes",
  ).action(async (options: ClientOptions) => setExitCode(await (await show()).routes(options)));
  asking(
    program,
    "logs <vm>",
    "Prints the output of a VM.",
    "grapevine logs hello-v2-1\ngrapevine logs hello-v2-1 --follow --lines 0",
  )
    .option("-f, --follow", "go on with what it prints from now on, until Ctrl-C")
    .option("-n, --lines <count>", "lines from the end, at most 10000", "100")
    .action(async (vm: string, options: LogsOptions) => {
      setExitCode(await (await show()).logs(vm, options));
    });
}

function addEntryCommands(program: Command, setExitCode: SetExitCode): void {
  const load = () => import("./commands/entries.ts");
  const waitHelp = "applied: return when every member has it in force (exit code 3: not in time; it stands)";
  const waiting = (command: Command) =>
    command
      .option("--wait <what>", waitHelp)
      .option("--timeout <duration>", "how long to wait (default: 5s)");
  asking(
    program,
    "entries [prefix]",
    "Lists the entries of all members, or those whose key starts with a prefix.",
    "grapevine entries\ngrapevine entries custom/ --json",
  ).action(async (prefix: string | undefined, options: ClientOptions) => {
    setExitCode(await (await load()).entries(prefix, options));
  });
  const entry = program.command("entry").description("Facts of your own that every member learns.");
  waiting(
    asking(
      entry,
      "put <key> [file]",
      "Writes a value, any bytes, as the entry custom/KEY of the agent that is asked.\nWithout a file, or with -, the value is read from standard input. It outlives the agent.",
      "grapevine entry put site/motd motd.txt\necho hi | grapevine entry put site/motd - --wait applied --timeout 5s",
    ),
  ).action(async (key: string, file: string | undefined, options: EntryWriteOptions) => {
    setExitCode(await (await load()).putEntry(key, file, options));
  });
  asking(
    entry,
    "get <key>",
    "Prints the value of custom/KEY as the agent that is asked wrote it, or another member.",
    "grapevine entry get site/motd\ngrapevine entry get site/motd --owner host-2 --json",
  )
    .option("--owner <name>", "the member that wrote it (default: the agent that is asked)")
    .action(async (key: string, options: EntryGetOptions) => {
      setExitCode(await (await load()).getEntry(key, options));
    });
  waiting(
    asking(
      entry,
      "delete <key>",
      "Deletes the entry custom/KEY of the agent that is asked.",
      "grapevine entry delete site/motd --wait applied",
    ),
  ).action(async (key: string, options: EntryWriteOptions) => {
    setExitCode(await (await load()).deleteEntry(key, options));
  });
}

function addMemberCommands(program: Command, setExitCode: SetExitCode): void {
  program
    .command("init [folder]")
    .description("Makes a cluster: its root key and its id. What is there already is never overwritten.")
    .option("--json", JSON_HELP)
    .addHelpText("after", "\nExamples:\n  grapevine init\n  grapevine init /etc/grapevine")
    .action(async (folder: string | undefined, options: { json?: boolean }) => {
      setExitCode(await (await import("./commands/init.ts")).init(folder ?? ".", options));
    });
  program
    .command("agent")
    .description("Runs the agent of this host, until SIGTERM. VMs go on running without it.")
    .requiredOption("--config <file>", "its configuration, TOML (docs/config.md)")
    .option("--exit-with-parent", "end, with the VMs, when standard input ends")
    .addHelpText("after", "\nExamples:\n  grapevine agent --config /etc/grapevine/host-1.toml")
    .action(async ({ config, exitWithParent }: { config: string; exitWithParent?: boolean }) => {
      const { runAgent } = await import("../main.ts");
      setExitCode(await runAgent({ config, exitWithParent: exitWithParent === true }));
    });
  // Never called: `main` has passed "proxy" on before. Here it is for the list of commands.
  program
    .command("proxy")
    .description("Runs a proxy, until SIGTERM. --config FILE; see grapevine proxy --help.");
}

function addLocalCommands(program: Command, setExitCode: SetExitCode): void {
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
      const { runDev } = await import("./dev/dev.ts");
      setExitCode(await runDev({ hosts, proxies, stateDir: state ?? null, json: json === true }));
    });
  // Never called: `main` has passed it on before.
  program
    .command("bench")
    .description("Measurements.")
    .command("convergence")
    .description("How soon a change is in force at every proxy; see grapevine bench convergence --help.");
  program
    .command("demo")
    .description("Starts a cluster, deploys twice under steady traffic, and reports what the clients saw.")
    .option("--json", "print the report as one line of JSON")
    .action(async ({ json }: { json?: boolean }) => {
      const { runDemo } = await import("./demo/demo.ts");
      setExitCode(await runDemo({ json: json === true }));
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

/** node and proxy-agent share nothing but mesh. This is the one place that names both, by address, not by import. */
async function runProxyMember(argv: readonly string[]): Promise<number> {
  const address = new URL("../../proxy-agent/main.ts", import.meta.url).href;
  const proxy: { runProxy(argv: readonly string[]): Promise<number> } = await import(address);
  return proxy.runProxy(argv);
}

/** It starts agents and proxies alike, and belongs to the tests: production does not import those. */
async function runConvergenceBench(argv: readonly string[]): Promise<number> {
  const address = new URL("../../cluster-tests/bench/convergence/main.ts", import.meta.url).href;
  const bench: { runConvergenceBench(argv: readonly string[]): Promise<number> } = await import(address);
  return bench.runConvergenceBench(argv);
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
