// Content store: what a release needs (its packed folder, its env) on this host's disk, one file each, named by its hash. What is
// there is whole and verified.

import { createHash, randomBytes } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { type BundleHash, type EnvHash, isBundleHash, syncFolder } from "../../mesh/index.ts";
import { BUNDLE_BYTES_MAX, describeBytes } from "./bundle-limits.ts";

/** `too-large` and `mismatch` blame the sender, `no-space` this host's disk. Nothing was stored. */
export type ContentPut =
  | { readonly code: "stored" }
  | { readonly code: "too-large" | "mismatch" | "no-space"; readonly message: string };

export type ContentHash = BundleHash | EnvHash;

export interface ContentKind {
  /** For people: "bundle". */
  readonly name: string;
  readonly suffix: string;
  readonly fileMode: number;
  readonly folderMode: number;
  readonly bytesMax: number;
}

const BUNDLES: ContentKind = {
  name: "bundle",
  suffix: ".tar",
  fileMode: 0o640,
  folderMode: 0o777,
  bytesMax: BUNDLE_BYTES_MAX,
};

export interface ContentStoreOptions {
  /** `state_dir/bundles`; made if it is not there. */
  readonly folder: string;
  /** Default: bundles. */
  readonly kind?: ContentKind;
}

export interface ContentStoreDeps {
  readonly nowMs: () => number;
}

/** One is uploaded before the record that names it is committed: what was put or asked for lately is kept. */
const UNUSED_AGE_MS_MIN = 10 * 60 * 1000;
const PART_SUFFIX = ".part";
const NO_SPACE_CODES = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);

export class ContentStore<Hash extends ContentHash = BundleHash> {
  readonly #folder: string;
  readonly #kind: ContentKind;
  readonly #nowMs: () => number;

  private constructor({ folder, kind = BUNDLES }: ContentStoreOptions, deps: ContentStoreDeps) {
    this.#folder = folder;
    this.#kind = kind;
    this.#nowMs = deps.nowMs;
  }

  /** Removes what an agent that died in the middle of a `put` left behind. */
  static async open<Hash extends ContentHash = BundleHash>(
    options: ContentStoreOptions,
    deps: ContentStoreDeps,
  ): Promise<ContentStore<Hash>> {
    const store = new ContentStore<Hash>(options, deps);
    await mkdir(options.folder, { recursive: true, mode: store.#kind.folderMode });
    for (const name of await readdir(options.folder)) {
      if (name.endsWith(PART_SUFFIX)) await rm(join(options.folder, name), { force: true });
    }
    return store;
  }

  /** The file of this content; it is there when `touch` says so. */
  fileOf(hash: Hash): string {
    return join(this.#folder, `${hash}${this.#kind.suffix}`);
  }

  /** Is it here? If it is, `removeUnused` spares it for a while. */
  async touch(hash: Hash): Promise<boolean> {
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
  async put(hash: Hash, chunks: AsyncIterable<Uint8Array>): Promise<ContentPut> {
    const part = `${this.fileOf(hash)}.${randomBytes(6).toString("hex")}${PART_SUFFIX}`;
    try {
      const put = await writePart(part, { hash, kind: this.#kind }, chunks);
      if (put.code !== "stored") return put;
      await rename(part, this.fileOf(hash));
      await syncFolder(this.#folder);
      await this.touch(hash);
      return put;
    } catch (error) {
      if (!NO_SPACE_CODES.has((error as NodeJS.ErrnoException).code ?? "")) throw error;
      return {
        code: "no-space",
        message: `this host has no room for the ${this.#kind.name}: ${(error as Error).message}`,
      };
    } finally {
      await rm(part, { force: true });
    }
  }

  /** The bytes, in chunks of at most `chunkBytes`. Rejects with ENOENT when it is not there. */
  async *read(hash: Hash, chunkBytes: number): AsyncGenerator<Uint8Array> {
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

  /** Removes what is not in `used` and was not asked for lately. Returns what it removed. */
  async removeUnused(used: ReadonlySet<Hash>): Promise<readonly Hash[]> {
    const removed: Hash[] = [];
    for (const hash of await this.#list()) {
      const held = await stat(this.fileOf(hash)).catch(() => null);
      const isRecent = held === null || this.#nowMs() - held.mtimeMs < UNUSED_AGE_MS_MIN;
      if (used.has(hash) || isRecent) continue;
      await rm(this.fileOf(hash), { force: true });
      removed.push(hash);
    }
    return removed;
  }

  async #list(): Promise<readonly Hash[]> {
    const { suffix } = this.#kind;
    const names = (await readdir(this.#folder)).filter((name) => name.endsWith(suffix));
    // Hashes of all kinds look alike.
    return names.map((name) => name.slice(0, -suffix.length)).filter(isBundleHash) as string[] as Hash[];
  }
}

interface Wanted {
  readonly hash: ContentHash;
  readonly kind: ContentKind;
}

async function writePart(
  part: string,
  wanted: Wanted,
  chunks: AsyncIterable<Uint8Array>,
): Promise<ContentPut> {
  const handle = await open(part, "wx", wanted.kind.fileMode);
  try {
    const put = await writeVerified(handle, wanted, chunks);
    if (put.code === "stored") await handle.sync();
    return put;
  } finally {
    await handle.close();
  }
}

async function writeVerified(
  handle: FileHandle,
  { hash: expected, kind: { name, bytesMax } }: Wanted,
  chunks: AsyncIterable<Uint8Array>,
): Promise<ContentPut> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes > bytesMax) {
      return { code: "too-large", message: `the ${name} has more than ${describeBytes(bytesMax)}` };
    }
    hash.update(chunk);
    await handle.writeFile(chunk);
  }
  const got = hash.digest("hex");
  if (got === expected) return { code: "stored" };
  return {
    code: "mismatch",
    message: `the ${name}'s hash is ${got}, not ${expected}: it was damaged on its way`,
  };
}
