// Live lines: a terminal's last lines, drawn again where they were, below what stays.

export interface Terminal {
  readonly columns?: number;
  write(text: string): unknown;
}

const CLEAR_BELOW = "\u001b[J";
/** Of a terminal that does not say, or says 0, as a pty does that nobody gave a size. */
const COLUMNS = 80;

export class LiveLines {
  readonly #terminal: Terminal;
  #live: readonly string[] = [];
  #drawn = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** A line that stays, above those that are drawn again. */
  print(line: string): void {
    this.#terminal.write(`${this.#toTop()}${line}\n${this.#draw()}`);
  }

  /** Takes the place of what was shown; none: nothing is. */
  show(lines: readonly string[]): void {
    if (lines.length === 0 && this.#drawn === 0) return;
    this.#live = lines;
    this.#terminal.write(`${this.#toTop()}${this.#draw()}`);
  }

  #toTop(): string {
    const up = this.#drawn > 1 ? `\u001b[${this.#drawn - 1}A` : "";
    return this.#drawn === 0 ? "" : `\r${up}${CLEAR_BELOW}`;
  }

  /** Without an end of line, and cut to the width: a line that wraps would not be drawn over. */
  #draw(): string {
    this.#drawn = this.#live.length;
    const width = this.#terminal.columns || COLUMNS;
    return this.#live.map((line) => cut(line, width)).join("\n");
  }
}

function cut(line: string, width: number): string {
  const letters = Array.from(line);
  return letters.length <= width ? line : `${letters.slice(0, width - 1).join("")}…`;
}
