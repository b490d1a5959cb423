// host: what is said of a whole host.

import type { Command } from "commander";
import type { ForgetOptions } from "../commands/host.ts";
import type { ClientOptions } from "../session.ts";
import { asking, type SetExitCode } from "./asking.ts";

export function addHostCommands(program: Command, setExitCode: SetExitCode): void {
  const host = program.command("host").description("Hosts.");
  const cordons = {
    cordon: "Says that nothing new is placed on a host; what runs there runs on. It outlives the agent.",
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
    "fence <host>",
    "Says that a host is off: no rollout waits for its gate, and its VMs count as stopped, until it is back.\nRefused while anybody hears it: drain it then. Say it only of a machine that is off, or that no client reaches.",
    "grapevine host fence host-3",
  ).action(async (name: string, options: ClientOptions) => {
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
