// status, explain, history, members, vms, routes, logs: what is so now, and what was.

import type { Command } from "commander";
import type { LogsOptions, StatusOptions } from "../commands/show.ts";
import type { ClientOptions } from "../session.ts";
import { asking, type SetExitCode } from "./asking.ts";

export function addShowCommands(program: Command, setExitCode: SetExitCode): void {
  const show = () => import("../commands/show.ts");
  asking(
    program,
    "status [app]",
    "Shows the apps, or one: its release, its VMs, its rollout, and whom that waits for.",
    "grapevine status\ngrapevine status hello --json\ngrapevine status -w hello\ngrapevine status --hosts",
  )
    .option(
      "-w, --watch",
      "of one app: go on, until Ctrl-C; drawn again on a terminal, else lines; --json: a JSON object a line",
    )
    .option(
      "--hosts",
      "show the hosts and proxies instead: who holds what the cluster holds, and who is behind",
    )
    .action(async (app: string | undefined, options: StatusOptions) => {
      setExitCode(await (await show()).status(app, options));
    });
  const tell = () => import("../commands/explain.ts");
  asking(
    program,
    "explain [rollout]",
    "Tells what happened in a rollout, or in the last one of an app, or of all: each step, who was asked and answered when,\nand what was decided. Also while it runs.",
    "grapevine explain hello\ngrapevine explain hello-v2 --json",
  ).action(async (name: string | undefined, options: ClientOptions) => {
    setExitCode(await (await tell()).explain(name, options));
  });
  asking(
    program,
    "history <app>",
    "Lists the rollouts of an app, as far as the voter that answers keeps them: it keeps what it saw.",
    "grapevine history hello",
  ).action(async (app: string, options: ClientOptions) => {
    setExitCode(await (await tell()).history(app, options));
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
