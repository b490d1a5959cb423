// Log output: where a member's log goes. A member outlives whoever reads it: a full disk or a terminal that closed costs
// lines, not the member. pino's own destination waits for ever, deaf to everything, where a line cannot be written.

import { writeSync } from "node:fs";

const STDERR = 2;

/** What pino writes its lines to. */
export interface LogOutput {
  /** Never throws: a line that cannot be written is dropped. */
  write(line: string): void;
}

export function logOutput(fd: number = STDERR): LogOutput {
  return {
    write(line) {
      try {
        writeWhole(fd, Buffer.from(line));
      } catch {
        // Nowhere to say it: this was the place.
      }
    },
  };
}

function writeWhole(fd: number, line: Uint8Array): void {
  for (let written = 0; written < line.length; ) written += writeSync(fd, line, written);
}
