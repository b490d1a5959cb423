// Logs: the last lines of a VM's output file, and what is appended to it while someone reads on.

import { type FSWatcher, watch } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";

export const LOG_LINES_DEFAULT = 100;
export const LOG_LINES_MAX = 10_000;
/** Searched for the lines asked for; longer lines than fit are cut at the front. */
const TAIL_BYTES_MAX = 4 * 1024 * 1024;
const CHUNK_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

export interface LogOptions {
  /** 0 to `LOG_LINES_MAX`. */
  readonly lines: number;
  /** Go on until `signal` aborts or the file is removed. */
  readonly follow: boolean;
}

/** Rejects at the first chunk when the file cannot be read. A file that was cut is read again from its start. */
export async function* readLog(
  file: string,
  options: LogOptions,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const handle = await open(file, "r");
  let changes: FileChanges | null = null;
  try {
    // It throws when the file is gone by now, or nothing more can be watched on this system.
    if (options.follow) changes = new FileChanges(file, signal);
    let offset = await tailStart(handle, options.lines);
    do {
      changes?.arm();
      const { size, nlink } = await handle.stat();
      if (size < offset) offset = 0;
      for await (const chunk of readFrom(handle, offset)) {
        offset += chunk.byteLength;
        yield chunk;
      }
      if (nlink === 0) return;
      await changes?.next;
    } while (changes !== null && !signal.aborted);
  } finally {
    changes?.close();
    await handle.close();
  }
}

/** Tells of a change since `arm()`: armed before each read, so that no append falls between read and wait. */
class FileChanges {
  readonly #watcher: FSWatcher;
  readonly #signal: AbortSignal;
  readonly #wake = () => this.#armed.resolve();
  #armed = Promise.withResolvers<void>();

  constructor(file: string, signal: AbortSignal) {
    this.#watcher = watch(file).on("change", this.#wake).on("error", this.#wake);
    this.#signal = signal;
    signal.addEventListener("abort", this.#wake, { once: true });
  }

  arm(): void {
    this.#armed = Promise.withResolvers();
    if (this.#signal.aborted) this.#wake();
  }

  get next(): Promise<void> {
    return this.#armed.promise;
  }

  close(): void {
    this.#signal.removeEventListener("abort", this.#wake);
    this.#watcher.close();
  }
}

async function* readFrom(handle: FileHandle, start: number): AsyncGenerator<Uint8Array> {
  let offset = start;
  for (;;) {
    const chunk = await readChunk(handle, offset);
    if (chunk.byteLength === 0) return;
    offset += chunk.byteLength;
    yield chunk;
  }
}

/** Where the last `lines` lines start. A last line without its line break counts. */
async function tailStart(handle: FileHandle, lines: number): Promise<number> {
  const { size } = await handle.stat();
  if (lines === 0) return size;
  const floor = Math.max(0, size - TAIL_BYTES_MAX);
  let wanted = lines;
  let end = size;
  while (end > floor) {
    const start = Math.max(floor, end - CHUNK_BYTES);
    const chunk = await readChunk(handle, start, end - start);
    for (let index = chunk.byteLength - 1; index >= 0; index--) {
      const isBreak = chunk[index] === NEWLINE && start + index !== size - 1;
      if (isBreak) wanted -= 1;
      if (isBreak && wanted <= 0) return start + index + 1;
    }
    end = start;
  }
  return floor;
}

async function readChunk(
  handle: FileHandle,
  offset: number,
  bytes: number = CHUNK_BYTES,
): Promise<Uint8Array> {
  const buffer = new Uint8Array(bytes);
  const { bytesRead } = await handle.read(buffer, 0, bytes, offset);
  return buffer.subarray(0, bytesRead);
}
