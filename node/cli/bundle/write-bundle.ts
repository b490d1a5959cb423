// Write bundle: the collected parts as one .tar.gz, for its owner alone. Its name is taken before they are collected: where
// nothing can be written nobody shall wait first. Who reserved it fills or drops it: either the whole file is there, or none.

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { create } from "tar";

export interface BundleFile {
  /** Below the report's folder. */
  readonly file: string;
  readonly text: string;
}

/** Takes the name, for nobody else to read. Rejects with the system's error; EEXIST: `target` is there, and is left as it is. */
export async function reserveBundle(target: string): Promise<void> {
  await writeFile(target, "", { flag: "wx", mode: 0o600 });
}

/** Into the file that was reserved. Rejects with the system's error. */
export async function fillBundle(
  target: string,
  folder: string,
  files: readonly BundleFile[],
): Promise<void> {
  const scratch = await mkdtemp(path.join(tmpdir(), "grapevine-debug-"));
  try {
    for (const { file, text } of files) {
      const full = path.join(scratch, folder, file);
      await mkdir(path.dirname(full), { recursive: true });
      await writeFile(full, text, { mode: 0o600 });
    }
    await create({ file: target, gzip: true, cwd: scratch, portable: true }, [folder]);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

export async function dropBundle(target: string): Promise<void> {
  await rm(target, { force: true });
}
