// host: what is said of a whole host.

import type { Command } from "commander";
import type { ForgetOptions } from "../commands/host.ts";
import { asking, type SetExitCode } from "./asking.ts";

export function addHostCommands(program: Command, setExitCode: SetExitCode): void {
  asking(
    program.command("host").description("Hosts."),
    "forget <host>",
    "Says that a host is gone for good: all its entries are removed, and nobody routes to its VMs any more.\nRefused while anybody hears it. If it starts again, it is welcome.",
    "grapevine host forget host-3",
  )
    .option("--timeout <duration>", "how long to wait until all have heard it (default: 5s)")
    .action(async (name: string, options: ForgetOptions) => {
      setExitCode(await (await import("../commands/host.ts")).forgetHost(name, options));
    });
}
