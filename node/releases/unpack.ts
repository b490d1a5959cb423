// Unpack: a bundle's files into a VM's folder. The bundle came from someone else: all of it is judged before any is written.

import { mkdir, open } from "node:fs/promises";
import { dirname, isAbsolute, join, normalize } from "node:path";
import { extract, list, type ReadEntry } from "tar";
import { BUNDLE_BYTES_MAX, BUNDLE_ENTRIES_MAX } from "./bundle-limits.ts";

/** The bundle is not one that `packFolder` makes: its maker's fault. Nothing was written. */
class BundleRefused extends Error {
  override readonly name = "BundleRefused";
}

/** Unpacks the tar file into `folder`, which is made if it is not there. Rejects with `BundleRefused`. */
export async function unpackBundle(tarFile: string, folder: string): Promise<void> {
  await judge(tarFile);
  await mkdir(folder, { recursive: true });
  // Times of now: all files of a bundle are of 1970, and an app that makes its ETags of size and time
  // would give two releases the same one.
  await extract({ file: tarFile, cwd: folder, strict: true, noMtime: true, preserveOwner: false });
}

/** RFC 1952 and RFC 8878: what `tar` would unpack by itself, to more than it has bytes. */
const COMPRESSED = [Buffer.from([0x1f, 0x8b]), Buffer.from([0x28, 0xb5, 0x2f, 0xfd])];

async function judge(tarFile: string): Promise<void> {
  if (await isCompressed(tarFile)) throw new BundleRefused("the bundle is refused: it is compressed");
  let entries = 0;
  let bytes = 0;
  let refusal: string | null = null;
  const onReadEntry = (entry: ReadEntry) => {
    entries += 1;
    bytes += entry.size;
    refusal ??= refusalOf(entry) ?? (entries > BUNDLE_ENTRIES_MAX ? "too many files" : null);
    refusal ??= bytes > BUNDLE_BYTES_MAX ? "too large" : null;
  };
  try {
    await list({ file: tarFile, strict: true, onReadEntry });
  } catch (error) {
    throw new BundleRefused(`the bundle is no tar file: ${(error as Error).message}`);
  }
  if (refusal !== null) throw new BundleRefused(`the bundle is refused: ${refusal}`);
}

async function isCompressed(tarFile: string): Promise<boolean> {
  const handle = await open(tarFile, "r");
  try {
    const start = Buffer.alloc(4);
    await handle.read(start, 0, start.length, 0);
    return COMPRESSED.some((magic) => start.subarray(0, magic.length).equals(magic));
  } finally {
    await handle.close();
  }
}

function refusalOf(entry: ReadEntry): string | null {
  const { path, type, linkpath } = entry;
  if (leaves(path)) return `the path "${path}" leads out of it`;
  if (type === "SymbolicLink") {
    const target = linkpath ?? "";
    const isOutside = isAbsolute(target) || leaves(join(dirname(path), target));
    return isOutside ? `the link "${path}" leads out of it, to ${target}` : null;
  }
  return type === "File" || type === "OldFile" || type === "Directory" ? null : `"${path}" is a ${type}`;
}

function leaves(path: string): boolean {
  const way = normalize(path);
  return isAbsolute(path) || way === ".." || way.startsWith("../") || path.includes("\0");
}
