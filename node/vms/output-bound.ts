// Output bound: a VM that writes without end must not fill its host's disk. The newest output is kept.

import { mkdir, open, readdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { VmName } from "../../mesh/index.ts";

export interface OutputBound {
  /** A file that is larger is cut, */
  readonly bytesMax: number;
  /** to its last so many bytes. */
  readonly bytesKept: number;
}

/** At a start nobody writes: cut early. */
export const BOUND_AT_START: OutputBound = { bytesMax: 10 * 1024 * 1024, bytesKept: 1024 * 1024 };
/** While it runs a cut may lose lines that are written in that moment: cut rarely. */
export const BOUND_WHILE_RUNNING: OutputBound = { bytesMax: 64 * 1024 * 1024, bytesKept: 1024 * 1024 };
/** Output of VMs that are gone, kept for `logs`: their failure is often asked for later. */
const KEPT_LOGS_MAX = 20;

/** Cuts the file if it is over the bound. Its writer goes on: it appends, wherever the end is. True if it was cut. */
export async function boundOutput(file: string, bound: OutputBound): Promise<boolean> {
  const size = await sizeOf(file);
  if (size === null || size <= bound.bytesMax) return false;
  const tail = await readEnd(file, bound.bytesKept);
  const handle = await open(file, "a");
  try {
    await handle.truncate(0);
    await handle.write(`[grapevine] output was over ${bound.bytesMax} bytes: the older part was dropped\n`);
    await handle.write(tail);
  } finally {
    await handle.close();
  }
  return true;
}

/** Copies the end of a VM's output to `LOGS/VM.log` before its folder goes, and drops the oldest of such copies. */
export async function keepOutput(file: string, logsFolder: string, vm: VmName): Promise<void> {
  if ((await sizeOf(file)) === null) return;
  await mkdir(logsFolder, { recursive: true });
  await writeFile(keptLogFile(logsFolder, vm), await readEnd(file, BOUND_AT_START.bytesKept), {
    mode: 0o640,
  });
  const names = (await readdir(logsFolder)).filter((name) => name.endsWith(".log"));
  if (names.length <= KEPT_LOGS_MAX) return;
  const aged = await Promise.all(
    names.map(async (name) => ({ name, atMs: (await stat(join(logsFolder, name))).mtimeMs })),
  );
  const oldest = aged.sort((a, b) => b.atMs - a.atMs).slice(KEPT_LOGS_MAX);
  for (const { name } of oldest) await rm(join(logsFolder, name), { force: true });
}

export function keptLogFile(logsFolder: string, vm: VmName): string {
  return join(logsFolder, `${vm}.log`);
}

/** Null when it is not there. */
async function sizeOf(file: string): Promise<number | null> {
  return await stat(file).then(
    (stats) => stats.size,
    () => null,
  );
}

async function readEnd(file: string, bytesMax: number): Promise<Uint8Array> {
  const handle = await open(file, "r");
  try {
    const { size } = await handle.stat();
    const length = Math.min(size, bytesMax);
    const { buffer, bytesRead } = await handle.read(new Uint8Array(length), 0, length, size - length);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}
