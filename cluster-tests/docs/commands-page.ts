// Commands page: docs/commands.md as the program itself describes its commands, so that it cannot tell of others than there are.

import type { Command } from "commander";

const HEAD = `# Commands

Every command of \`grapevine\`, as its \`--help\` shows it. Written by the program: \`REWRITE=1 npx vitest run --project unit
cluster-tests/docs.test.ts\` writes it anew. What each promises when it returns, exit codes and \`--json\`: [cli.md](cli.md).
`;

/** The width of a terminal that has not said. */
const COLUMNS = 80;

export function commandsPage(program: Command): string {
  return [HEAD, ...commandsOf(program, "grapevine").map(section)].join("\n");
}

interface Named {
  readonly name: string;
  readonly command: Command;
}

/** Each before those below it; the program itself is what the page is. */
function commandsOf(command: Command, name: string): readonly Named[] {
  return command.commands.flatMap((sub) => {
    const below = `${name} ${sub.name()}`;
    return [{ name: below, command: sub }, ...commandsOf(sub, below)];
  });
}

function section({ name, command }: Named): string {
  return `## ${name}\n\n\`\`\`text\n${helpOf(command)}\n\`\`\`\n`;
}

/** With what is printed after it: examples, exit codes. */
function helpOf(command: Command): string {
  let text = "";
  const writeOut = (part: string): void => {
    text += part;
  };
  command.configureOutput({ writeOut, getOutHelpWidth: () => COLUMNS });
  command.outputHelp();
  return text
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n")
    .trim();
}
