// host: what is said of a whole host.

import type { Command } from "commander";
import type { FenceOptions, ForgetOptions } from "../commands/host.ts";
import type { DrainOptions } from "../commands/host-drain.ts";
import type { ClientOptions } from "../session.ts";
import { asking, EXIT_CODES, type SetExitCode } from "./asking.ts";

export function addHostCommands(program: Command, setExitCode: SetExitCode): void {
  const host = program.command("host").description("Hosts.");
  const cordons = {
    cordon:
      "Says that nothing new is placed on a host; what runs there runs on. It outlives the agent. Of a host that is drained: no more is moved.",
    uncordon: "Says that a host gets VMs again.",
  };
  for (const verb of ["cordon", "uncordon"] as const) {
    asking(host, `${verb} <host>`, cordons[verb], `grapevine host ${verb} host-2`).action(
      async (name: string, options: ClientOptions) => {
        setExitCode(await (await import("../commands/host.ts")).setCordon(verb, name, options));
      },
    );
  }
  asking(
    host,
    "drain <host>",
    "Moves everything off a host, and follows until it is empty: nothing new is placed there, and each app's VMs serve elsewhere before those here stop.\nIt outlives this command (Ctrl-C detaches) and the agent; `host uncordon` ends it.",
    "grapevine host drain host-2",
  )
    .option("--detach", "return once the host has written it down (exit code 3: the end is not known)")
    .addHelpText("after", EXIT_CODES)
    .action(async (name: string, options: DrainOptions) => {
      setExitCode(await (await import("../commands/host-drain.ts")).drainHost(name, options));
    });
  asking(
    host,
    "fence <host>",
    "Says that a host is off: no rollout waits for its gate, and its VMs count as stopped, until it is back.\nRefused while anybody hears it: drain it then. Say it only of a machine that is off, or that no client reaches.",
    "grapevine host fence host-3\ngrapevine host fence host-3 --force-unsafe",
  )
    .option(
      "--force-unsafe",
      "for apps that never run twice: start them elsewhere though nobody knows that the host is off, also while somebody hears it. You risk two processes of such an app at once, and the data that both write; the record and `explain` say that it was forced",
    )
    .action(async (name: string, options: FenceOptions) => {
      setExitCode(await (await import("../commands/host.ts")).fenceHost(name, options));
    });
  asking(
    host,
    "forget <host>",
    "Says that a host is gone for good: all its entries are removed, and nobody routes to its VMs any more.\nRefused while anybody hears it. If it starts again, it is welcome.",
    "grapevine host forget host-3",
  )
    .option("--timeout <duration>", "how long to wait until all have heard it (default: 5s)")
    .action(async (name: string, options: ForgetOptions) => {
      setExitCode(await (await import("../commands/host.ts")).forgetHost(name, options));
    });
}
