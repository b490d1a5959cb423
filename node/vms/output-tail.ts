// Output tail: the last lines of a VM's output, for people: what explains a failure. Reads a bounded part of a file of any size.

import { type FileHandle, open } from "node:fs/promises";
import { stripVTControlCharacters } from "node:util";
import { VM_LAST_LINES_MAX, VM_LINE_CHARS_MAX } from "../../mesh/index.ts";

/** How much of the end of a file is looked at: 20 lines of 500 characters need 10 KiB; the rest is room for longer lines. */
const TAIL_BYTES_MAX = 256 * 1024;

/** The last `linesMax` lines, oldest first; none if the file is not there. A cut first line is left out. */
export async function readLastLines(file: string, linesMax: number): Promise<readonly string[]> {
  const handle = await openOrNull(file);
  if (handle === null) return [];
  try {
    const lines = await readTail(handle);
    return linesMax > 0 ? lines.slice(-linesMax) : [];
  } finally {
    await handle.close();
  }
}

/** The last lines as an entry carries them: bounded, and nothing in them that would steer a terminal. Never rejects. */
export async function readEntryLines(file: string): Promise<readonly string[]> {
  const lines = await readLastLines(file, VM_LAST_LINES_MAX).catch(() => []);
  return lines.map((line) => {
    const plain = stripVTControlCharacters(line.slice(0, 4 * VM_LINE_CHARS_MAX)).replace(/\p{Cc}/gu, " ");
    return plain.slice(0, VM_LINE_CHARS_MAX);
  });
}

/** Where it starts inside the file is a line's middle, as a rule: that line is left out. */
async function readTail(handle: FileHandle): Promise<readonly string[]> {
  const { size } = await handle.stat();
  const start = Math.max(0, size - TAIL_BYTES_MAX);
  const bytes = await readAt(handle, start, size - start);
  const lines = Buffer.from(bytes).toString("utf8").split("\n");
  if (lines.at(-1) === "") lines.pop();
  return start > 0 ? lines.slice(1) : lines;
}

async function readAt(handle: FileHandle, position: number, length: number): Promise<Uint8Array> {
  const buffer = new Uint8Array(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(buffer, filled, length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

async function openOrNull(file: string): Promise<FileHandle | null> {
  try {
    return await open(file, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}
