// Container run: a network of its own, the containers in it, and the promise that nothing of it stays: each thing carries the
// run's id as a label, `remove` takes all that carries it, and a reaper does so where this process cannot any more.

import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { RunningCommand } from "../command.ts";
import { Container, type ContainerOptions, type Place } from "./container.ts";
import { docker } from "./docker.ts";
import { leftovers, removeAll, runLabel } from "./leftovers.ts";

const REAPER = fileURLToPath(new URL("./reaper.ts", import.meta.url));
/** Where `folder` is in each container. */
export const MOUNTED_FOLDER = "/etc/grapevine";

interface RunOptions {
  readonly image: string;
  /** What it is for: part of its id. */
  readonly kind?: string;
}

export class ContainerRun {
  /** Unique on the machine; also a name that compose takes for a project. */
  readonly id: string;
  /** On this machine, readable for everyone; each container has it, read-only, as `MOUNTED_FOLDER`. */
  readonly folder: string;
  readonly #image: string;
  readonly #reaper: ChildProcess;

  static async start({ image, kind = "test" }: RunOptions): Promise<ContainerRun> {
    const run = new ContainerRun(image, kind);
    try {
      await docker("network", "create", "--label", runLabel(run.id), run.id);
      return run;
    } catch (error) {
      await run.remove();
      throw error;
    }
  }

  private constructor(image: string, kind: string) {
    this.#image = image;
    this.id = `gv-${kind}-${randomBytes(4).toString("hex")}`;
    this.folder = mkdtempSync(join(tmpdir(), `${this.id}-`));
    chmodSync(this.folder, 0o755);
    this.#reaper = spawn(process.execPath, [REAPER, this.id, this.folder], {
      stdio: ["pipe", "ignore", "inherit"],
      detached: true,
    });
    this.#reaper.unref();
  }

  /** Resolves when its first process was started; what that says of itself is in its log. */
  start(options: ContainerOptions): Promise<Container> {
    return Container.start(options, this.#place(options));
  }

  /** In the foreground: see `Container.attach`. */
  attach(options: ContainerOptions): RunningCommand {
    return Container.attach(options, this.#place(options));
  }

  /** As `docker` knows its container of this name. */
  idOf(name: string): string {
    return `${this.id}-${name}`;
  }

  /** Rejects when something of it is left. */
  async remove(): Promise<void> {
    await removeAll(this.id);
    rmSync(this.folder, { recursive: true, force: true });
    const left = await leftovers(this.id);
    if (left.length > 0) throw new Error(`left of ${this.id}: ${left.join(", ")}`);
    // It is needed no more.
    this.#reaper.kill("SIGKILL");
  }

  #place({ name }: ContainerOptions): Place {
    return {
      id: this.idOf(name),
      image: this.#image,
      network: this.id,
      label: runLabel(this.id),
      mount: `${this.folder}:${MOUNTED_FOLDER}:ro`,
    };
  }
}
