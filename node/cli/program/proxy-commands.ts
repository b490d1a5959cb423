// proxy exclude, proxy include. `grapevine proxy --config` runs one: `main` has passed that on before.

import type { Command } from "commander";
import type { ExcludeOptions } from "../commands/proxy.ts";
import { asking, type SetExitCode } from "./asking.ts";

const TEXTS = {
  exclude:
    "Has rollouts not ask this proxy any more: say it of one that is gone, or that routes nobody. While it is excluded\na deploy ends with exit code 6, and names it, unless it has confirmed all the same.",
  include: "Has rollouts ask this proxy again.",
} as const;

export function addProxyCommands(program: Command, setExitCode: SetExitCode): void {
  const proxy = program
    .command("proxy")
    .description("Runs a proxy, until SIGTERM (--config FILE; see grapevine proxy --help), or says of one:");
  for (const verb of ["exclude", "include"] as const) {
    asking(proxy, `${verb} <proxy>`, TEXTS[verb], `grapevine proxy ${verb} proxy-2`)
      .option("--app <app>", "for this app alone (default: for all, and those to come)")
      .action(async (name: string, options: ExcludeOptions) => {
        const { changeExclusion } = await import("../commands/proxy.ts");
        setExitCode(await changeExclusion(verb, name, options));
      });
  }
}
