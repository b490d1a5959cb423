// Write bundle: the collected parts as one .tar.gz, for its owner alone. Either the whole file is there, or none.

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { create } from "tar";

export interface BundleFile {
  /** Below the report's folder. */
  readonly file: string;
  readonly text: string;
}

/** Rejects with the system's error; EEXIST: `target` is there, and is left as it is. */
export async function writeBundle(
  target: string,
  folder: string,
  files: readonly BundleFile[],
): Promise<void> {
  // First, so that a name that cannot be written costs nobody a wait; and for nobody else to read.
  await writeFile(target, "", { flag: "wx", mode: 0o600 });
  const scratch = await mkdtemp(path.join(tmpdir(), "grapevine-debug-"));
  try {
    for (const { file, text } of files) {
      const full = path.join(scratch, folder, file);
      await mkdir(path.dirname(full), { recursive: true });
      await writeFile(full, text, { mode: 0o600 });
    }
    await create({ file: target, gzip: true, cwd: scratch, portable: true }, [folder]);
  } catch (error) {
    await rm(target, { force: true });
    throw error;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
