// doctor, diff, why, query, watch, debug: what is going on in the cluster, also during a fault.

import type { Command } from "commander";
import type { DoctorOptions } from "../commands/doctor.ts";
import type { QueryOptions } from "../commands/query.ts";
import type { ClientOptions } from "../session.ts";
import { asking, type SetExitCode } from "./asking.ts";

export function addIntrospectCommands(program: Command, setExitCode: SetExitCode): void {
  const load = () => import("../commands/introspect.ts");
  asking(
    program,
    "doctor",
    "Says what is wrong here and what to type next: this machine (ports, disk, limits, keys, seeds) and the cluster\n(reach, voters, gates, proxies, clocks, versions). Changes nothing. Exit code 1: something fails.",
    "grapevine doctor\ngrapevine doctor --config /etc/grapevine/agent.toml   # also before it starts",
  )
    .option("--config <file>", "of an agent, a gate or a proxy of this machine, whether or not it runs")
    .action(async (options: DoctorOptions) => {
      setExitCode(await (await import("../commands/doctor.ts")).doctor(options));
    });
  asking(
    program,
    "diff <a> <b>",
    "Shows what one member holds and another does not, or differently. Exit code 0: nothing; 1: they differ.",
    "grapevine diff host-1 proxy-2\ngrapevine diff proxy-1 proxy-2 --json",
  ).action(async (a: string, b: string, options: ClientOptions) => {
    setExitCode(await (await load()).diff(a, b, options));
  });
  asking(
    program,
    "why <vm>",
    "Shows all that is known of a VM: what is wanted, what its host says, who holds which version of it and how\nthat came there, and why a proxy does not route to it.",
    "grapevine why hello-v2-1",
  ).action(async (vm: string, options: ClientOptions) => {
    setExitCode(await (await load()).why(vm, options));
  });
  asking(
    program,
    "query <sql>",
    "Asks SQL about what the asked agent holds: vms, apps, releases, wanted, hosts, proxies, members, entries (docs/query.md).",
    "grapevine query 'select app, state, count(*) from vms group by 1, 2'\ngrapevine query 'select * from vms where app = ?' --param hello --csv\ngrapevine query --watch 'select vm, state, health from vms'",
  )
    .option("-p, --param <value>", "in place of a ? of the query, in their order; repeatable", append, [])
    .option("--csv", "print CSV")
    .option("-w, --watch", "go on with each change of the result, until Ctrl-C; --json: a JSON object a line")
    .action(async (sql: string, options: QueryOptions) => {
      setExitCode(await (await import("../commands/query.ts")).query(sql, options));
    });
  asking(
    program,
    "watch [prefix]",
    "Prints what is there, then every change as the asked agent learns of it, until Ctrl-C. --json: a JSON object a line.",
    "grapevine watch vm/\ngrapevine watch app/hello --json",
  ).action(async (prefix: string | undefined, options: ClientOptions) => {
    setExitCode(await (await import("../commands/watch.ts")).watch(prefix ?? "", options));
  });
  asking(
    program.command("debug").description("What a bug report needs."),
    "bundle [file]",
    "Writes one .tar.gz with what the cluster is, what each member holds and says of itself, without secrets.\nA part that cannot be had is a file that says why (exit code 6).",
    "grapevine debug bundle\ngrapevine debug bundle /tmp/report.tar.gz",
  ).action(async (file: string | undefined, options: ClientOptions) => {
    setExitCode(await (await import("../commands/debug.ts")).debugBundle(file, options));
  });
}

function append(value: string, values: readonly string[]): readonly string[] {
  return [...values, value];
}
