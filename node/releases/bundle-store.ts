// Bundle store: packed releases on this host's disk, one file each, named by its hash. What is there is whole and verified.

import { createHash, randomBytes } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { type BundleHash, isBundleHash, syncFolder } from "../../mesh/index.ts";
import { BUNDLE_BYTES_MAX, describeBytes } from "./bundle-limits.ts";

/** `too-large` and `mismatch` blame the sender, `no-space` this host's disk. Nothing was stored. */
export type BundlePut =
  | { readonly code: "stored" }
  | { readonly code: "too-large" | "mismatch" | "no-space"; readonly message: string };

export interface BundleStoreOptions {
  /** `state_dir/bundles`; made if it is not there. */
  readonly folder: string;
}

export interface BundleStoreDeps {
  readonly nowMs: () => number;
}

/** One is uploaded before the record that names it is committed: what was put or asked for lately is kept. */
const UNUSED_AGE_MS_MIN = 10 * 60 * 1000;
const SUFFIX = ".tar";
const PART_SUFFIX = ".part";
const NO_SPACE_CODES = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);

export class BundleStore {
  readonly #folder: string;
  readonly #nowMs: () => number;

  private constructor(options: BundleStoreOptions, deps: BundleStoreDeps) {
    this.#folder = options.folder;
    this.#nowMs = deps.nowMs;
  }

  /** Removes what an agent that died in the middle of a `put` left behind. */
  static async open(options: BundleStoreOptions, deps: BundleStoreDeps): Promise<BundleStore> {
    await mkdir(options.folder, { recursive: true });
    for (const name of await readdir(options.folder)) {
      if (name.endsWith(PART_SUFFIX)) await rm(join(options.folder, name), { force: true });
    }
    return new BundleStore(options, deps);
  }

  /** The file of a bundle; it is there when `touch` says so. */
  fileOf(hash: BundleHash): string {
    return join(this.#folder, `${hash}${SUFFIX}`);
  }

  /** Is it here? If it is, `removeUnused` spares it for a while. */
  async touch(hash: BundleHash): Promise<boolean> {
    const now = new Date(this.#nowMs());
    return await utimes(this.fileOf(hash), now, now).then(
      () => true,
      () => false,
    );
  }

  /**
   * Stores what `chunks` yield if it is within the bound and hashes to `hash`. It is there whole, synced, or not at all.
   * Rejects with what `chunks` throw, and when the disk fails in another way than being full.
   */
  async put(hash: BundleHash, chunks: AsyncIterable<Uint8Array>): Promise<BundlePut> {
    const part = `${this.fileOf(hash)}.${randomBytes(6).toString("hex")}${PART_SUFFIX}`;
    try {
      const put = await writePart(part, hash, chunks);
      if (put.code !== "stored") return put;
      await rename(part, this.fileOf(hash));
      await syncFolder(this.#folder);
      await this.touch(hash);
      return put;
    } catch (error) {
      if (!NO_SPACE_CODES.has((error as NodeJS.ErrnoException).code ?? "")) throw error;
      return {
        code: "no-space",
        message: `this host has no room for the bundle: ${(error as Error).message}`,
      };
    } finally {
      await rm(part, { force: true });
    }
  }

  /** The bytes of a bundle, in chunks of at most `chunkBytes`. Rejects with ENOENT when it is not there. */
  async *read(hash: BundleHash, chunkBytes: number): AsyncGenerator<Uint8Array> {
    const handle = await open(this.fileOf(hash), "r");
    try {
      for (;;) {
        const buffer = new Uint8Array(chunkBytes);
        const { bytesRead } = await handle.read(buffer, 0, chunkBytes);
        if (bytesRead === 0) return;
        yield buffer.subarray(0, bytesRead);
      }
    } finally {
      await handle.close();
    }
  }

  /** Removes bundles that are not in `used` and were not asked for lately. Returns what it removed. */
  async removeUnused(used: ReadonlySet<BundleHash>): Promise<readonly BundleHash[]> {
    const removed: BundleHash[] = [];
    for (const hash of await this.#list()) {
      const held = await stat(this.fileOf(hash)).catch(() => null);
      const isRecent = held === null || this.#nowMs() - held.mtimeMs < UNUSED_AGE_MS_MIN;
      if (used.has(hash) || isRecent) continue;
      await rm(this.fileOf(hash), { force: true });
      removed.push(hash);
    }
    return removed;
  }

  async #list(): Promise<readonly BundleHash[]> {
    const names = (await readdir(this.#folder)).filter((name) => name.endsWith(SUFFIX));
    return names.map((name) => name.slice(0, -SUFFIX.length)).filter(isBundleHash);
  }
}

async function writePart(
  part: string,
  expected: BundleHash,
  chunks: AsyncIterable<Uint8Array>,
): Promise<BundlePut> {
  const handle = await open(part, "wx", 0o640);
  try {
    const put = await writeVerified(handle, expected, chunks);
    if (put.code === "stored") await handle.sync();
    return put;
  } finally {
    await handle.close();
  }
}

async function writeVerified(
  handle: FileHandle,
  expected: BundleHash,
  chunks: AsyncIterable<Uint8Array>,
): Promise<BundlePut> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes > BUNDLE_BYTES_MAX) {
      return { code: "too-large", message: `the bundle has more than ${describeBytes(BUNDLE_BYTES_MAX)}` };
    }
    hash.update(chunk);
    await handle.writeFile(chunk);
  }
  const got = hash.digest("hex");
  if (got === expected) return { code: "stored" };
  return {
    code: "mismatch",
    message: `the bundle's hash is ${got}, not ${expected}: it was damaged on its way`,
  };
}
