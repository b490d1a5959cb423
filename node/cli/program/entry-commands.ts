// entries, entry: the store as it is, and facts of one's own.

import type { Command } from "commander";
import type { EntryGetOptions, EntryWriteOptions } from "../commands/entries.ts";
import type { ClientOptions } from "../session.ts";
import { asking, type SetExitCode } from "./asking.ts";

export function addEntryCommands(program: Command, setExitCode: SetExitCode): void {
  const load = () => import("../commands/entries.ts");
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
