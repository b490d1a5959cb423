// Durable file: written whole or not at all, also when the process or the power goes meanwhile.

import { link, open, readFile, rename, rm } from "node:fs/promises";
import path from "node:path";

export interface DurableFileOptions {
  /** Permissions, also if something of the name was there. */
  readonly mode: number;
  /** A file that is there already stays as it is, and `EEXIST` is thrown; else it is replaced. */
  readonly isNew?: boolean;
}

/** Temporary file, sync, rename, sync of the folder. Throws what the file system says; then nothing was changed. */
export async function writeDurably(
  file: string,
  content: string | Uint8Array,
  { mode, isNew = false }: DurableFileOptions,
): Promise<void> {
  const temporary = `${file}.new`;
  try {
    await writeSynced(temporary, content, mode);
    // Unlike a rename a link never replaces.
    if (isNew) await link(temporary, file);
    else await rename(temporary, file);
  } finally {
    await rm(temporary, { force: true });
  }
  await syncFolder(path.dirname(file));
}

async function writeSynced(file: string, content: string | Uint8Array, mode: number): Promise<void> {
  const handle = await open(file, "w", mode);
  try {
    // `open` gives them to a file that it makes, not to one that a crash left behind.
    await handle.chmod(mode);
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Undefined: there is none. */
export async function readIfThere(file: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(file);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** Takes it away, if it is there, and syncs the folder. */
export async function removeDurably(file: string): Promise<void> {
  await rm(file, { force: true });
  await syncFolder(path.dirname(file));
}

/** After it a crash forgets no name that was made in the folder, or taken out of it. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
