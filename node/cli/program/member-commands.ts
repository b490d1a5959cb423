// init, agent, proxy, gate: a cluster, its members, and the gates of its hosts.

import type { Command } from "commander";
import { JSON_HELP, type SetExitCode } from "./asking.ts";

interface AgentOptions {
  readonly config: string;
  readonly exitWithParent?: boolean;
  readonly stopVms?: boolean;
}

export function addMemberCommands(program: Command, setExitCode: SetExitCode): void {
  program
    .command("init [folder]")
    .description("Makes a cluster: its root key and its id. What is there already is never overwritten.")
    .option("--json", JSON_HELP)
    .addHelpText("after", "\nExamples:\n  grapevine init\n  grapevine init /etc/grapevine")
    .action(async (folder: string | undefined, options: { json?: boolean }) => {
      setExitCode(await (await import("../commands/init.ts")).init(folder ?? ".", options));
    });
  program
    .command("agent")
    .description("Runs the agent of this host, until SIGTERM. VMs go on running without it.")
    .requiredOption("--config <file>", "its configuration, TOML (docs/config.md)")
    .option("--exit-with-parent", "end, with the VMs, when standard input ends")
    .option("--stop-vms", "stop the VMs too at SIGTERM, as in a container, where they would be killed")
    .addHelpText("after", "\nExamples:\n  grapevine agent --config /etc/grapevine/host-1.toml")
    .action(async ({ config, exitWithParent, stopVms }: AgentOptions) => {
      const { runAgent } = await import("../../main.ts");
      const stops = { exitWithParent: exitWithParent === true, stopVms: stopVms === true };
      setExitCode(await runAgent({ config, ...stops }));
    });
  // Never called: `main` has passed "gate" on before. Here it is for the list of commands.
  program
    .command("gate")
    .description("Runs the gate of a host, until SIGTERM. --config FILE; see grapevine gate --help.");
}
