// List folder: what of an app's folder goes into its bundle, in an order that depends on names alone.

import { lstat, readdir, readFile, readlink, realpath } from "node:fs/promises";
import { dirname, isAbsolute, join, relative, sep } from "node:path";
import ignore, { type Ignore } from "ignore";
import { type BundleLimits, describeBytes } from "./bundle-limits.ts";
import { PackError } from "./pack-error.ts";

const IGNORE_FILE = ".grapevineignore";
/** First, so that an ignore file can take them back with "!". */
const DEFAULT_IGNORES = [".git", ".grapevine*"];
const IGNORE_BYTES_MAX = 64 * 1024;

export interface ListedFile {
  /** Relative to the folder, with "/". */
  readonly path: string;
  readonly kind: "file" | "folder" | "link";
  readonly bytes: number;
}

/** All files, folders and links below `folder` that are not ignored, and not `without`. Rejects with `PackError`. */
export async function listFolder(
  folder: string,
  limits: BundleLimits,
  without: string | null,
): Promise<readonly ListedFile[]> {
  const listing = new Listing({ folder, limits, without, ignores: await readIgnores(folder) });
  await listing.walk("");
  listing.check();
  return listing.files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

class Listing {
  readonly files: ListedFile[] = [];
  readonly #folder: string;
  readonly #ignores: Ignore;
  readonly #limits: BundleLimits;
  readonly #without: string | null;
  #bytes = 0;

  constructor(options: {
    readonly folder: string;
    readonly limits: BundleLimits;
    readonly without: string | null;
    readonly ignores: Ignore;
  }) {
    this.#folder = options.folder;
    this.#limits = options.limits;
    this.#without = options.without;
    this.#ignores = options.ignores;
  }

  async walk(path: string): Promise<void> {
    const names = await readdir(join(this.#folder, path));
    for (const name of names) {
      await this.#add(path === "" ? name : `${path}/${name}`);
      if (this.files.length > this.#limits.entriesMax) return;
    }
  }

  /** Throws when it is too much, naming what is to blame: as a rule one folder that was meant to be ignored. */
  check(): void {
    const { bytesMax, entriesMax } = this.#limits;
    if (this.files.length > entriesMax) {
      const [name, count] = this.#biggest(() => 1);
      throw new PackError(
        "too-many-files",
        `the app's folder has more than ${entriesMax} files; ${count} or more of them are in "${name}"; ` +
          `name what the app does not need in ${IGNORE_FILE}`,
      );
    }
    if (this.#bytes <= bytesMax) return;
    const [name, bytes] = this.#biggest((file) => file.bytes);
    throw new PackError(
      "too-large",
      `the app's folder has ${describeBytes(this.#bytes)}, the most is ${describeBytes(bytesMax)}; ` +
        `"${name}" alone has ${describeBytes(bytes)}; name what the app does not need in ${IGNORE_FILE}`,
    );
  }

  async #add(path: string): Promise<void> {
    if (path === this.#without) return;
    const stats = await lstat(join(this.#folder, path));
    if (this.#ignores.ignores(stats.isDirectory() ? `${path}/` : path)) return;
    if (stats.isSymbolicLink()) {
      await checkLink(this.#folder, path);
      this.files.push({ path, kind: "link", bytes: 0 });
    } else if (stats.isDirectory()) {
      this.files.push({ path, kind: "folder", bytes: 0 });
      await this.walk(path);
    } else if (stats.isFile()) {
      this.files.push({ path, kind: "file", bytes: stats.size });
      this.#bytes += stats.size;
    } else {
      throw new PackError(
        "unsupported",
        `"${path}" is no file, folder or link (a socket, a pipe or a device); name it in ${IGNORE_FILE}`,
      );
    }
  }

  /** The entry of the folder itself that weighs most. */
  #biggest(weightOf: (file: ListedFile) => number): readonly [string, number] {
    const weights = new Map<string, number>();
    for (const file of this.files) {
      const top = file.path.split("/")[0] ?? file.path;
      weights.set(top, (weights.get(top) ?? 0) + weightOf(file));
    }
    return [...weights].reduce((most, one) => (one[1] > most[1] ? one : most), ["", 0]);
  }
}

async function readIgnores(folder: string): Promise<Ignore> {
  const rules = ignore().add(DEFAULT_IGNORES);
  const file = join(folder, IGNORE_FILE);
  const stats = await lstat(file).catch(() => null);
  if (stats === null) return rules;
  if (!stats.isFile() || stats.size > IGNORE_BYTES_MAX) {
    throw new PackError(
      "unsupported",
      `${IGNORE_FILE} must be a file of at most ${describeBytes(IGNORE_BYTES_MAX)}`,
    );
  }
  return rules.add(await readFile(file, "utf8"));
}

/** By its text, as it will be unpacked elsewhere, and by where it really leads: a way through other links may leave. */
async function checkLink(folder: string, path: string): Promise<void> {
  const target = await readlink(join(folder, path));
  if (isAbsolute(target)) {
    throw new PackError(
      "link-outside",
      `the link "${path}" has the absolute target ${target}; make it relative`,
    );
  }
  const real = await realpath(join(folder, path)).catch(() => null);
  const isInside =
    isWithin(folder, join(folder, dirname(path), target)) && (real === null || isWithin(folder, real));
  if (!isInside) {
    throw new PackError(
      "link-outside",
      `the link "${path}" leads out of the app's folder, to ${target}; copy its target into the folder, ` +
        `or name it in ${IGNORE_FILE}`,
    );
  }
}

function isWithin(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}
