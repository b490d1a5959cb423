// Event stream: what a command that follows a rollout prints with `--json`: an object a line, the end last.

export interface StreamedEvent {
  readonly event: string;
}

export function parseEvents(output: string): readonly StreamedEvent[] {
  const lines = output.split("\n").filter((line) => line !== "");
  return lines.map((line) => JSON.parse(line) as StreamedEvent);
}

/** The facts of the end. Throws when the output has none. */
export function endOfEvents(output: string): object {
  const end = parseEvents(output).at(-1);
  if (end?.event !== "end") throw new Error(`the command told no end: ${output}`);
  return end;
}
