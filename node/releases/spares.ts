// Spares: of apps that sleep, the files of a release, unpacked ahead on a host that has its bundle. A VM that is woken there takes the folder
// as it is, and does not keep requests waiting for thousands of files. Only what is whole is ever given away.

import { randomBytes } from "node:crypto";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import type { BundleHash } from "../../mesh/index.ts";
import { messageOf } from "../../mesh/index.ts";
import { SPARES_MAX } from "../limits.ts";

export interface SparesDeps {
  /** Into a folder that is not there yet. Rejects with ENOENT if this host does not have the bundle. */
  readonly unpack: (hash: BundleHash, folder: string) => Promise<void>;
  readonly logger: Pick<Logger, "warn">;
}

/** Of which releases: `asleep` may be woken here; of those that fall asleep or wake none is made, nor taken away. */
export interface SpareNeeds {
  readonly asleep: ReadonlySet<BundleHash>;
  readonly waking: ReadonlySet<BundleHash>;
}

export class Spares {
  readonly #folder: string;
  /** Of names that no later start gives. */
  readonly #start: string = randomBytes(6).toString("hex");
  readonly #old: string[];
  readonly #deps: SparesDeps;
  /** Folders that are whole. */
  readonly #ready = new Map<BundleHash, string>();
  /** Not tried again while they are wanted. */
  readonly #failed = new Set<BundleHash>();
  #needed: ReadonlySet<BundleHash> = new Set();
  /** Not removed. */
  #spared: ReadonlySet<BundleHash> = new Set();
  #made = 0;
  #making: { readonly hash: BundleHash; readonly done: Promise<void> } | null = null;
  #isStopped = false;
  /** Null: there is nothing to do. */
  #working: Promise<void> | null = null;

  private constructor(folder: string, old: readonly string[], deps: SparesDeps) {
    this.#folder = folder;
    this.#old = [...old];
    this.#deps = deps;
  }

  /** What an earlier start left may not be whole: it is removed, but nobody waits for that. */
  static async open(folder: string, deps: SparesDeps): Promise<Spares> {
    await mkdir(folder, { recursive: true });
    const spares = new Spares(folder, await readdir(folder), deps);
    spares.#work();
    return spares;
  }

  /** From now on there is to be one of each of these, as far as the bundle is here, and none of others. */
  keep(needs: SpareNeeds): void {
    this.#needed = new Set([...needs.asleep].slice(0, SPARES_MAX));
    this.#spared = new Set([...this.#needed, ...needs.waking]);
    for (const hash of this.#failed) if (!this.#spared.has(hash)) this.#failed.delete(hash);
    this.#work();
  }

  /** One that is being made is waited for. True: `folder`, which must not be there, holds the files, and nobody else has them. */
  async take(hash: BundleHash, folder: string): Promise<boolean> {
    if (this.#making?.hash === hash) await this.#making.done;
    const spare = this.#ready.get(hash);
    if (spare === undefined) return false;
    this.#ready.delete(hash);
    return rename(spare, folder).then(
      () => true,
      () => rm(spare, { recursive: true, force: true }).then(() => false),
    );
  }

  /** Resolves when nothing changes any more of itself. */
  async settled(): Promise<void> {
    while (this.#working !== null) await this.#working;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.settled();
  }

  #work(): void {
    this.#working ??= this.#workOff().finally(() => {
      this.#working = null;
      if (this.#next() !== null) this.#work();
    });
  }

  async #workOff(): Promise<void> {
    for (let next = this.#next(); next !== null; next = this.#next()) await next();
  }

  /** One after the other: it is done while nobody waits. Null: all is as it should be. */
  #next(): (() => Promise<void>) | null {
    if (this.#isStopped) return null;
    const vain = [...this.#ready].find(([hash]) => !this.#spared.has(hash));
    if (vain !== undefined) return () => this.#remove(...vain);
    const missing = [...this.#needed].find((hash) => !this.#ready.has(hash) && !this.#failed.has(hash));
    if (missing === undefined) return this.#old.length > 0 ? () => this.#removeOld() : null;
    return () => {
      const done = this.#make(missing).finally(() => {
        this.#making = null;
      });
      this.#making = { hash: missing, done };
      return done;
    };
  }

  async #remove(hash: BundleHash, spare: string): Promise<void> {
    this.#ready.delete(hash);
    await this.#discard(spare);
  }

  async #removeOld(): Promise<void> {
    const old = this.#old.pop();
    if (old !== undefined) await this.#discard(join(this.#folder, old));
  }

  async #discard(path: string): Promise<void> {
    await rm(path, { recursive: true, force: true }).catch((error: unknown) => {
      this.#deps.logger.warn(
        { path, error: messageOf(error) },
        "files that are not needed cannot be removed",
      );
    });
  }

  async #make(hash: BundleHash): Promise<void> {
    this.#made += 1;
    const spare = join(this.#folder, `${this.#start}-${this.#made}`);
    const part = `${spare}.part`;
    try {
      await this.#deps.unpack(hash, part);
      await rename(part, spare);
      this.#ready.set(hash, spare);
    } catch (error) {
      this.#failed.add(hash);
      await rm(part, { recursive: true, force: true }).catch(() => undefined);
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") this.#warn(hash, error);
    }
  }

  #warn(bundle: BundleHash, error: unknown): void {
    this.#deps.logger.warn({ bundle, error: messageOf(error) }, "files of an app that sleeps cannot be kept");
  }
}
