// Commits: when each write of this host's VMs was stamped, which is when its way to the others begins.

import { type RunningMesh, VM_PREFIX } from "../../../../mesh/index.ts";
import type { Write } from "../protocol.ts";
import { writeId } from "./arrivals.ts";
import { Condition, type MemberClock } from "./member-shell.ts";

/** A write that was due and is not committed by then never is. */
const COMMIT_TIMEOUT_MS = 30_000;

export class Commits {
  readonly #clock: MemberClock;
  readonly #condition = new Condition();
  #done: { readonly id: string; readonly atMs: number }[] = [];

  constructor(clock: MemberClock) {
    this.#clock = clock;
  }

  /** Of each write of a VM, the moment before it is stamped: signing it is part of its way, and so is all that follows. */
  watch(mesh: RunningMesh): RunningMesh {
    const write = mesh.write.bind(mesh);
    mesh.write = (key, value) => {
      const atMs = this.#clock.nowMs();
      const before = mesh.store.head(mesh.self.owner)?.counter ?? 0;
      const version = write(key, value);
      const isNew = version.counter > before && key.startsWith(VM_PREFIX);
      if (isNew) this.#done.push({ id: writeId({ owner: mesh.self.owner, version }), atMs });
      this.#condition.look();
      return version;
    };
    return mesh;
  }

  begin(): void {
    this.#done = [];
  }

  /** As many as were due, in their order. */
  async take(dueMs: readonly number[]): Promise<readonly Write[]> {
    await this.#condition.until(() => this.#done.length >= dueMs.length, COMMIT_TIMEOUT_MS);
    if (this.#done.length !== dueMs.length)
      throw new Error(`bench: ${dueMs.length} writes were due, ${this.#done.length} were committed`);
    return this.#done.map((done, at) => ({ ...done, dueMs: dueMs[at] ?? done.atMs }));
  }
}
