// Completions: what a shell offers after `grapevine …`: the commands, and the options of the one that was written. Made from the same program
// that reads them, so it cannot offer what there is not. Names of apps and VMs are an agent's to know: a shell must not wait for one.

import type { Command } from "commander";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** What may follow the words of `path`. */
interface Place {
  /** "host fence"; "" is the program itself. */
  readonly path: string;
  readonly offers: readonly Offer[];
}

interface Offer {
  readonly word: string;
  /** One line. */
  readonly about: string;
}

export function completionsOf(program: Command, shell: Shell): string {
  const places = placesOf(program, "");
  switch (shell) {
    case "bash":
      return bashScript(places);
    case "zsh":
      return zshScript(places);
    case "fish":
      return fishScript(places);
  }
}

function placesOf(command: Command, path: string): readonly Place[] {
  const help = command.createHelp();
  const below = help.visibleCommands(command).filter((sub) => sub.name() !== "help" || path === "");
  const options = help.visibleOptions(command);
  const choices = command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);
  const offers = [
    ...below.map((sub) => ({ word: sub.name(), about: firstLine(sub.description()) })),
    ...choices.map((word) => ({ word, about: "" })),
    ...options.map((option) => ({ word: option.long ?? option.flags, about: firstLine(option.description) })),
  ];
  const deeper = below.flatMap((sub) => placesOf(sub, path === "" ? sub.name() : `${path} ${sub.name()}`));
  return [{ path, offers }, ...deeper];
}

function firstLine(text: string): string {
  return text.split("\n")[0] ?? "";
}

/** In single quotes a shell takes everything as it is, but for these themselves. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function knownPaths(places: readonly Place[]): readonly string[] {
  return places.filter(({ path }) => path !== "").map(({ path }) => quoted(path));
}

/**
 * Of bash and zsh, which differ in what they call the words before this one: which command those name, what is no command below it, an
 * option or a name, being passed over; and what may follow it.
 */
function offering(
  places: readonly Place[],
  words: string,
  offered: (offers: readonly Offer[]) => string,
): string {
  const cases = places.map(({ path, offers }) => `    ${quoted(path)}) offered=${offered(offers)} ;;`);
  return `  for word in "\${${words}}"; do
    next="\${at:+$at }$word"
    case "$next" in
      ${knownPaths(places).join(" | ")}) at="$next" ;;
    esac
  done
  case "$at" in
${cases.join("\n")}
  esac`;
}

function bashScript(places: readonly Place[]): string {
  const words = "COMP_WORDS[@]:1:COMP_CWORD-1";
  const offered = (offers: readonly Offer[]) => quoted(offers.map(({ word }) => word).join(" "));
  return `# bash completion of grapevine: source <(grapevine completions bash)
_grapevine() {
  local at="" next="" word="" offered=""
${offering(places, words, offered)}
  COMPREPLY=($(compgen -W "$offered" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _grapevine grapevine
`;
}

function zshScript(places: readonly Place[]): string {
  const words = "(@)words[2,CURRENT-1]";
  const described = ({ word, about }: Offer) => quoted(`${word}:${about.replaceAll(":", "\\:")}`);
  const offered = (offers: readonly Offer[]) => `(${offers.map(described).join(" ")})`;
  return `#compdef grapevine
# zsh completion of grapevine: source <(grapevine completions zsh), after compinit
_grapevine() {
  local at="" next="" word=""
  local -a offered
${offering(places, words, offered)}
  _describe 'grapevine' offered
  _files
}
compdef _grapevine grapevine
`;
}

function fishScript(places: readonly Place[]): string {
  const lines = places.flatMap(({ path, offers }) =>
    offers.map(({ word, about }) => {
      const what = word.startsWith("--") ? `-l ${word.slice(2)}` : `-a ${word}`;
      return `complete -c grapevine -n "__grapevine_at ${quoted(path)}" ${what} -d ${quoted(about)}`;
    }),
  );
  return `# fish completion of grapevine: grapevine completions fish | source
function __grapevine_at
  set -l at
  for word in (commandline -opc)[2..]
    set -l next (string join " " $at $word)
    if contains -- "$next" ${knownPaths(places).join(" ")}
      set at "$next"
    end
  end
  test "$at" = "$argv[1]"
end
${lines.join("\n")}
`;
}
