// Log output: where a member's log goes. A member outlives whoever reads it: a full disk or a terminal that closed costs
// lines, not the member. pino's own destination waits for ever, deaf to everything, where a line cannot be written.

import { writeSync } from "node:fs";
import { LOG_KEPT_BYTES_MAX } from "../limits.ts";

const STDERR = 2;

/** What pino writes its lines to. */
export interface LogOutput {
  /** Never throws: a line that cannot be written is dropped. */
  write(line: string): void;
  /** The last lines, oldest first, also those that could not be written. */
  recent(): string;
}

export function logOutput(fd: number = STDERR, keptBytesMax: number = LOG_KEPT_BYTES_MAX): LogOutput {
  const kept = new KeptLines(keptBytesMax);
  return {
    write(line) {
      const bytes = Buffer.from(line);
      kept.add(bytes);
      try {
        writeWhole(fd, bytes);
      } catch {
        // Nowhere to say it: this was the place.
      }
    },
    recent: () => kept.text(),
  };
}

function writeWhole(fd: number, line: Uint8Array): void {
  for (let written = 0; written < line.length; ) written += writeSync(fd, line, written);
}

/** Bounded in bytes: the oldest go first, and a line over the whole bound is not kept. */
class KeptLines {
  readonly #bytesMax: number;
  readonly #lines: Buffer[] = [];
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  add(line: Buffer): void {
    if (line.length > this.#bytesMax) return;
    this.#lines.push(line);
    this.#bytes += line.length;
    if (this.#bytes > this.#bytesMax) this.#drop();
  }

  text(): string {
    return Buffer.concat(this.#lines).toString();
  }

  /** Down to three quarters at once: an array that is shifted for each line moves all of it each time. */
  #drop(): void {
    let dropped = 0;
    for (const line of this.#lines) {
      if (this.#bytes <= this.#bytesMax * 0.75) break;
      this.#bytes -= line.length;
      dropped += 1;
    }
    this.#lines.splice(0, dropped);
  }
}
