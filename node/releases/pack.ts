// Pack: an app's folder as one tar file. The same content gives the same bytes, whoever packs it, when and where.
//
// Plain tar: a compressed one differs between versions of zlib, and its hash names the release.

import { createHash } from "node:crypto";
import { open, realpath, rm } from "node:fs/promises";
import { create, type TarOptionsWithAliasesAsyncNoFile } from "tar";
import { type BundleHash, bundleHash } from "../../mesh/words.ts";
import { BUNDLE_LIMITS, type BundleLimits, describeBytes } from "./bundle-limits.ts";
import { type ListedFile, listFolder } from "./list-folder.ts";
import { PackError } from "./pack-error.ts";

export interface PackedBundle {
  readonly hash: BundleHash;
  readonly bytes: number;
  /** Files, folders and links in it. */
  readonly entries: number;
}

export interface PackOptions {
  readonly limits?: BundleLimits;
  /** A file of the folder that stays out, whatever the ignore file says: it has the env, and any member may have a bundle. */
  readonly without?: string;
}

/** Packs `folder` into `targetFile`, which is removed again when it fails. Rejects with `PackError`. */
export async function packFolder(
  folder: string,
  targetFile: string,
  { limits = BUNDLE_LIMITS, without }: PackOptions = {},
): Promise<PackedBundle> {
  try {
    const root = await realpath(folder);
    const files = await listFolder(root, limits, without ?? null);
    return await writeTar({ root, files, targetFile, limits });
  } catch (error) {
    await rm(targetFile, { force: true });
    if (error instanceof PackError) throw error;
    throw new PackError("unreadable", `cannot pack ${folder}: ${(error as Error).message}`);
  }
}

interface TarPlan {
  readonly root: string;
  readonly files: readonly ListedFile[];
  readonly targetFile: string;
  readonly limits: BundleLimits;
}

async function writeTar(plan: TarPlan): Promise<PackedBundle> {
  const { root, files, targetFile, limits } = plan;
  const hash = createHash("sha256");
  let bytes = 0;
  const target = await open(targetFile, "w", 0o640);
  try {
    // "./": a name that starts with "@" would be taken for an archive to include. The folder itself comes first, so
    // that an empty one makes a bundle too.
    const names = ["./", ...files.map((file) => `./${file.path}`)];
    for await (const chunk of create({ ...REPEATABLE, cwd: root }, names)) {
      hash.update(chunk);
      bytes += chunk.length;
      if (bytes > limits.bytesMax) throw tooLarge(limits);
      await target.writeFile(chunk);
    }
  } finally {
    await target.close();
  }
  return { hash: bundleHash(hash.digest("hex")), bytes, entries: files.length };
}

/** Tar's own headers count, and a file may have grown since it was listed. */
function tooLarge(limits: BundleLimits): PackError {
  const most = describeBytes(limits.bytesMax);
  return new PackError("too-large", `the app's folder packs to more than ${most}`);
}

/** Remembers nothing: two names of one file are packed as two files, as they would be after a copy. */
class NoLinks<Key, Value> extends Map<Key, Value> {
  override set(): this {
    return this;
  }
}

/** No owner, no times, of the mode only whether it may be run; a file that cannot be read is an error, not a warning. */
const REPEATABLE: TarOptionsWithAliasesAsyncNoFile = {
  portable: true,
  strict: true,
  noDirRecurse: true,
  mtime: new Date(0),
  linkCache: new NoLinks(),
  onWriteEntry: (entry) => {
    if (entry.stat === undefined) return;
    const mayRun = entry.type !== "File" || (entry.stat.mode & 0o100) !== 0;
    entry.stat.mode = (entry.stat.mode & ~0o7777) | (mayRun ? 0o755 : 0o644);
  },
};
