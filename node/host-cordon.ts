// Host cordon: whether anything new is placed on this host, and whether what runs there shall leave. A person's word, on disk, since it
// outlives the agent's process.

import { join } from "node:path";
import { type HostEntry, readIfThere, removeDurably, writeDurably } from "../mesh/index.ts";

/** `cordoned`: nothing new is placed here. `draining`: neither, and what runs here is moved to other hosts. */
export type HostUse = "open" | "cordoned" | "draining";

const FILE = "cordoned";
/** What is in the file then; in that of a host that is only cordoned there is nothing. */
const DRAINING = "draining";

export class HostCordon {
  readonly #file: string;
  #use: HostUse;

  static async open(stateDir: string): Promise<HostCordon> {
    const file = join(stateDir, FILE);
    const said = await readIfThere(file);
    if (said === undefined) return new HostCordon(file, "open");
    return new HostCordon(file, said.toString().trim() === DRAINING ? "draining" : "cordoned");
  }

  private constructor(file: string, use: HostUse) {
    this.#file = file;
    this.#use = use;
  }

  get use(): HostUse {
    return this.#use;
  }

  /** As its host tells it. */
  get said(): Pick<HostEntry, "cordoned" | "draining"> {
    const cordoned = this.#use !== "open";
    return this.#use === "draining" ? { cordoned, draining: true } : { cordoned };
  }

  /** Resolves once it is on disk. Rejects when that fails; it is as it was then. */
  async set(use: HostUse): Promise<void> {
    if (use === "open") await removeDurably(this.#file);
    else await writeDurably(this.#file, use === "draining" ? DRAINING : "", { mode: 0o600 });
    this.#use = use;
  }
}
