// Shell lines: what a reader would type of an `sh` block, and of a `console` block what it answers.

/** A line of a `console` block that begins with `$ `, and what stands below it. */
export interface Exchange {
  readonly command: string;
  /** "": nothing is shown. */
  readonly output: string;
}

/** Commands of an `sh` block, without lines that are only a comment. A `\` at the end joins two lines. */
export function commandsOf(text: string): readonly string[] {
  return text
    .replaceAll(/ *\\\n */g, " ")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
}

/** Throws for a block that shows an answer to nothing. */
export function exchangesOf(text: string): readonly Exchange[] {
  const [before = "", ...parts] = `\n${text}`.split("\n$ ");
  if (before.trim() !== "" || parts.length === 0) {
    throw new Error("a console block begins with `$ ` and the command");
  }
  return parts.map((part) => {
    const [command = "", ...output] = part.replaceAll(/ *\\\n */g, " ").split("\n");
    return { command, output: output.join("\n").trim() };
  });
}

/** Without what a comment says to the reader. */
export function withoutComment(command: string): string {
  return command.replace(/\s+#.*$/, "").trim();
}

/** Words as a shell splits them; of a quoted one what it quotes. */
export function wordsOf(command: string): readonly string[] {
  const words = withoutComment(command).matchAll(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g);
  return [...words].map(([word]) => word.replaceAll(/"([^"]*)"|'([^']*)'/g, "$1$2"));
}

const GRAPEVINE = /^(?:npx grapevine|npm run grapevine --|grapevine)(?:\s+|$)/;

/** What follows the word `grapevine`; null: it is another program's line. */
export function grapevineWords(command: string): readonly string[] | null {
  return GRAPEVINE.test(command) ? wordsOf(command.replace(GRAPEVINE, "")) : null;
}
