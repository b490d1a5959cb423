// voters, registers: who keeps what is desired.

import type { Command } from "commander";
import type { RestoreOptions, RootKeyOptions } from "../commands/voters.ts";
import type { ClientOptions } from "../session.ts";
import { asking, type SetExitCode } from "./asking.ts";

const ROOT_KEY = "the file that `grapevine init` made, with the cluster's root key";

export function addVoterCommands(program: Command, setExitCode: SetExitCode): void {
  const load = () => import("../commands/voters.ts");
  const voters = program
    .command("voters")
    .description("The hosts that keep the apps' records, and whose majority decides.");
  asking(voters, "list", "Who they are, and whether they can be reached.", "grapevine voters", {
    isDefault: true,
  }).action(async (options: ClientOptions) => setExitCode(await (await load()).listVoters(options)));
  asking(
    voters,
    "init <host...>",
    "Names the first voters of a new cluster: one host, or three, so that one may fail (five: two). Said again for the\nsame hosts it changes nothing.",
    "grapevine voters init host-1 host-2 host-3 --root-key cluster/root.key",
  )
    .requiredOption("--root-key <file>", ROOT_KEY)
    .action(async (hosts: string[], options: RootKeyOptions) => {
      setExitCode(await (await load()).initVoters(hosts, options));
    });
  asking(
    voters,
    "add <host>",
    "Makes a host a voter. One at a time: the next when every register was committed under the new list.",
    "grapevine voters add host-4",
  ).action(async (host: string, options: ClientOptions) => {
    setExitCode(await (await load()).addVoter(host, options));
  });
  asking(
    voters,
    "remove <host>",
    "Ends a host's being a voter, whether it is there or not.",
    "grapevine voters remove host-2",
  ).action(async (host: string, options: ClientOptions) => {
    setExitCode(await (await load()).removeVoter(host, options));
  });
  addRegisterCommands(program, setExitCode);
}

function addRegisterCommands(program: Command, setExitCode: SetExitCode): void {
  const load = () => import("../commands/voters.ts");
  const registers = program.command("registers").description("The apps' records, as a whole.");
  asking(
    registers,
    "backup <file>",
    "Writes every app's record, as a majority of the voters has it, with its certificate. Nothing in it is secret but what the apps' files hold.",
    "grapevine registers backup registers.json",
  ).action(async (file: string, options: ClientOptions) => {
    setExitCode(await (await load()).backupRegisters(file, options));
  });
  asking(
    registers,
    "restore",
    "When a majority of the voters is gone for good: names new ones, and gives them the highest certified record that any member,\nor the backup, holds of each app. Ask the agent of one of the new voters.",
    "grapevine registers restore --voters host-3,host-4,host-5 --root-key cluster/root.key",
  )
    .requiredOption("--voters <names>", "the new voters, with commas between")
    .requiredOption("--root-key <file>", ROOT_KEY)
    .option("--backup <file>", "what `registers backup` wrote, besides what members hold")
    .action(async (options: RestoreOptions) => {
      setExitCode(await (await load()).restoreRegisters(options));
    });
}
