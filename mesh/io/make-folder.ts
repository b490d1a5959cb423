// Make folder: `mkdir -p` that ends. Node's own asks again for ever, at full CPU and deaf to SIGTERM, where the parent is
// there and still nothing can be made in it, as in /proc.

import { mkdirSync, statSync } from "node:fs";
import path from "node:path";

/** Makes what is missing of it, with `mode`. Throws what the file system says. */
export function makeFolder(folder: string, mode = 0o777): void {
  if (isFolder(folder)) return;
  const absolute = path.resolve(folder);
  makeFolder(path.dirname(absolute), mode);
  try {
    mkdirSync(absolute, { mode });
  } catch (error) {
    // Another process may have been quicker.
    if (!isFolder(absolute)) throw error;
  }
}

function isFolder(folder: string): boolean {
  return statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true;
}
