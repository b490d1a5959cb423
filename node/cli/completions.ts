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

/** Which command the words so far name: what is no command below it, an option or a name, is passed over. */
function pathCases(places: readonly Place[]): string {
  const known = places.filter(({ path }) => path !== "").map(({ path }) => quoted(path));
  return known.join(" | ");
}

function bashScript(places: readonly Place[]): string {
  const cases = places.map(({ path, offers }) => {
    const words = offers.map(({ word }) => word).join(" ");
    return `    ${quoted(path)}) offered=${quoted(words)} ;;`;
  });
  return `# bash completion of grapevine: source <(grapevine completions bash)
_grapevine() {
  local at="" next="" word="" offered=""
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    next="\${at:+$at }$word"
    case "$next" in
      ${pathCases(places)}) at="$next" ;;
    esac
  done
  case "$at" in
${cases.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$offered" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _grapevine grapevine
`;
}

function zshScript(places: readonly Place[]): string {
  const cases = places.map(({ path, offers }) => {
    const described = offers.map(({ word, about }) => quoted(`${word}:${about.replaceAll(":", "\\:")}`));
    return `    ${quoted(path)}) offered=(${described.join(" ")}) ;;`;
  });
  return `#compdef grapevine
# zsh completion of grapevine: source <(grapevine completions zsh), after compinit
_grapevine() {
  local at="" next="" word=""
  local -a offered
  for word in "\${(@)words[2,CURRENT-1]}"; do
    next="\${at:+$at }$word"
    case "$next" in
      ${pathCases(places)}) at="$next" ;;
    esac
  done
  case "$at" in
${cases.join("\n")}
  esac
  _describe 'grapevine' offered
  _files
}
compdef _grapevine grapevine
`;
}

function fishScript(places: readonly Place[]): string {
  const known = places.filter(({ path }) => path !== "").map(({ path }) => quoted(path));
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
    if contains -- "$next" ${known.join(" ")}
      set at "$next"
    end
  end
  test "$at" = "$argv[1]"
end
${lines.join("\n")}
`;
}
