// Volumes: directories of apps on this host, which outlive their VMs: STATE_DIR/volumes/APP/NAME. A VM gets each as a link in its folder, and its
// path in its environment.

import { randomUUID } from "node:crypto";
import { constants, existsSync, renameSync } from "node:fs";
import { access, lstat, mkdir, readdir, rm, stat, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type AppName, messageOf, type VolumeSpec } from "../../mesh/index.ts";

export class Volumes {
  readonly #folder: string;
  readonly #madeOf: (app: AppName) => readonly string[];

  /** `madeOf`: volumes of an app that the records know to be here. */
  constructor(folder: string, madeOf: (app: AppName) => readonly string[]) {
    this.#folder = folder;
    this.#madeOf = madeOf;
  }

  /** Makes what was never made, and links all into the unpacked folder of a VM. Rejects with what a person has to see to. */
  async link(app: AppName, volumes: readonly VolumeSpec[], folder: string): Promise<void> {
    for (const { name, path } of volumes) {
      const own = this.#pathOf(app, name);
      if (!this.#madeOf(app).includes(name)) await mkdir(own, { recursive: true, mode: 0o750 });
      const link = join(folder, path);
      if (await isThere(link))
        throw new Error(
          `the app's folder has ${path} itself, and its volume ${name} is to be there: give the volume another path, or leave ${path} out of the folder`,
        );
      await mkdir(dirname(link), { recursive: true });
      await symlink(own, link);
    }
    await this.check(app, volumes);
  }

  /** Rejects unless each is a directory that can be written to. */
  async check(app: AppName, volumes: readonly VolumeSpec[]): Promise<void> {
    for (const { name } of volumes) {
      const own = this.#pathOf(app, name);
      try {
        if (!(await stat(own)).isDirectory()) throw new Error("it is no directory");
        await access(own, constants.R_OK | constants.W_OK | constants.X_OK);
      } catch (error) {
        throw new Error(
          `its volume ${name} cannot be used: ${messageOf(error)}. It was at ${own}: bring it back, for example mount its disk; it is not made anew`,
        );
      }
    }
  }

  /** `GRAPEVINE_VOLUME_DATA` of a volume `data`. */
  environment(app: AppName, volumes: readonly VolumeSpec[]): Readonly<Record<string, string>> {
    const variable = (name: string) => `GRAPEVINE_VOLUME_${name.toUpperCase().replaceAll("-", "_")}`;
    return Object.fromEntries(volumes.map(({ name }) => [variable(name), this.#pathOf(app, name)]));
  }

  /** All that the app has here. Out of the way at once: a later deploy of the app makes it anew while this one is being removed. */
  async remove(app: AppName): Promise<void> {
    const prefix = `.${app}-removed-`;
    const own = join(this.#folder, app);
    if (existsSync(own)) renameSync(own, join(this.#folder, `${prefix}${randomUUID()}`));
    if (!existsSync(this.#folder)) return;
    // What an earlier agent had not finished too.
    const all = (await readdir(this.#folder)).filter((name) => name.startsWith(prefix));
    for (const name of all) await rm(join(this.#folder, name), { recursive: true, force: true });
  }

  #pathOf(app: AppName, name: string): string {
    return join(this.#folder, app, name);
  }
}

async function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
