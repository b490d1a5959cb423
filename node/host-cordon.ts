// Host cordon: whether anything new is placed on this host. A person's word, on disk, since it outlives the agent's process.

import { join } from "node:path";
import { readIfThere, removeDurably, writeDurably } from "../mesh/index.ts";

const FILE = "cordoned";

export class HostCordon {
  readonly #file: string;
  #isCordoned: boolean;

  static async open(stateDir: string): Promise<HostCordon> {
    const file = join(stateDir, FILE);
    return new HostCordon(file, (await readIfThere(file)) !== undefined);
  }

  private constructor(file: string, isCordoned: boolean) {
    this.#file = file;
    this.#isCordoned = isCordoned;
  }

  get isCordoned(): boolean {
    return this.#isCordoned;
  }

  /** Resolves once it is on disk. Rejects when that fails; it is as it was then. */
  async set(isCordoned: boolean): Promise<void> {
    if (isCordoned) await writeDurably(this.#file, "", { mode: 0o600 });
    else await removeDurably(this.#file);
    this.#isCordoned = isCordoned;
  }
}
