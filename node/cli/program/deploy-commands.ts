// deploy, scale, restart, destroy, vm: what changes what runs.

import type { Command } from "commander";
import type { DeployOptions } from "../commands/deploy.ts";
import type { DestroyOptions } from "../commands/rollout.ts";
import type { FollowedOptions } from "../follow-to-end.ts";
import { asking, EXIT_CODES, type SetExitCode } from "./asking.ts";

export function addDeployCommands(program: Command, setExitCode: SetExitCode): void {
  const detachHelp = "return once it is submitted (exit code 3: the end is not known)";
  asking(
    program,
    "deploy <file>",
    "Deploys the app of an app file, and follows until the new release serves on every proxy.\nThe file's folder is what runs. Ctrl-C detaches; the rollout goes on.",
    "grapevine deploy app.toml\ngrapevine deploy docs/examples/hello/app.toml --wait-timeout 1m\ngrapevine deploy app.toml --plan\ngrapevine deploy app.toml --on-conflict supersede",
  )
    .option("--plan", "change nothing: print the steps, whom each will wait for, and what it may cost")
    .option(
      "--strategy <name>",
      "in place of the file's deploy.strategy: rolling, immediate, bluegreen, canary or handoff",
    )
    .option("--wait-timeout <duration>", "in place of the file's deploy.wait_timeout, for example 5m")
    .option(
      "--on-conflict <what>",
      "while another rollout of the app runs: fail (exit code 4), wait for its end (as long as the wait timeout), or supersede it: it is taken back, and this deploy begins in the commit that ends it (default: fail)",
    )
    .option("--detach", detachHelp)
    .addHelpText("after", EXIT_CODES)
    .action(async (file: string, options: DeployOptions) => {
      setExitCode(await (await import("../commands/deploy.ts")).deploy(file, options));
    });
  asking(
    program,
    "promote <app>",
    "Says that the new release of a deploy that waits for approval may take over, and follows it to the end.",
    "grapevine promote hello",
  )
    .option("--detach", detachHelp)
    .action(async (app: string, options: FollowedOptions) => {
      setExitCode(await (await import("../commands/rollout.ts")).promote(app, options));
    });
  asking(
    program,
    "abort <app>",
    "Takes a deploy back to what ran before (exit code 5), as long as the new release has not taken over.",
    "grapevine abort hello",
  )
    .option("--detach", detachHelp)
    .action(async (app: string, options: FollowedOptions) => {
      setExitCode(await (await import("../commands/rollout.ts")).abort(app, options));
    });
  addCountCommands(program, setExitCode, detachHelp);
  asking(
    program,
    "destroy <app>",
    "Stops all VMs of an app and removes its routes. Its release numbers are not used again.",
    "grapevine destroy hello\ngrapevine destroy hello --remove-data",
  )
    .option("--remove-data", "remove what its volumes have too; without it that is kept, and said where")
    .option("--detach", detachHelp)
    .action(async (app: string, options: DestroyOptions) => {
      setExitCode(await (await import("../commands/rollout.ts")).destroy(app, options));
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
      setExitCode(await (await import("../commands/rollout.ts")).stopVm(name, options));
    });
}

function addCountCommands(program: Command, setExitCode: SetExitCode, detachHelp: string): void {
  asking(
    program,
    "scale <app> <count>",
    "Gives the release that serves so many VMs, and follows until they serve on every proxy, or those that went are stopped.\nIt makes no release. The next deploy has as many as its file says.",
    "grapevine scale hello 3",
  )
    .option("--detach", detachHelp)
    .addHelpText("after", EXIT_CODES)
    .action(async (app: string, count: string, options: FollowedOptions) => {
      setExitCode(await (await import("../commands/scale.ts")).scale(app, count, options));
    });
  asking(
    program,
    "restart <app>",
    "Replaces each VM of the release that serves by a new one, by the app's strategy, without a failed request.\nIt makes no release: nothing is packed, no release_command runs, and nobody has to approve it.",
    "grapevine restart hello",
  )
    .option("--detach", detachHelp)
    .addHelpText("after", EXIT_CODES)
    .action(async (app: string, options: FollowedOptions) => {
      setExitCode(await (await import("../commands/scale.ts")).restart(app, options));
    });
}
