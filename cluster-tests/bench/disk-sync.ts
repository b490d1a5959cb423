// Disk sync: what the disk takes for one sync of a page, done as SQLite's write-ahead log does each commit: a frame is written behind
// the last one, from the start again after a thousand, and synced.

import { closeSync, fsyncSync, openSync, readFileSync, statfsSync, writeSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";

/** A page with its head. */
const FRAME_BYTES = 4_096 + 24;
/** About where SQLite begins anew. */
const FRAMES_MAX = 1_000;
/** `statfs`: what is there is in memory. */
const MEMORY_FILE_SYSTEMS = new Set([0x01021994, 0x858458f6]);

export class DiskSync {
  readonly #file: number;
  readonly #frame = Buffer.alloc(FRAME_BYTES, 7);
  #frames = 0;

  constructor(path: string) {
    this.#file = openSync(path, "w");
  }

  /**
   * Microseconds each, one after the other, for so long. `pauseMs`: between one and the next. A disk that is at rest may take
   * much longer for one than a busy one does, and commits leave it at rest in between; 0: as many as it can.
   */
  async run(forMs: number, pauseMs: number): Promise<readonly number[]> {
    const tookUs: number[] = [];
    const until = performance.now() + forMs;
    for (let begunAt = performance.now(); begunAt < until; begunAt = performance.now()) {
      writeSync(this.#file, this.#frame, 0, FRAME_BYTES, (this.#frames % FRAMES_MAX) * FRAME_BYTES);
      fsyncSync(this.#file);
      this.#frames += 1;
      tookUs.push((performance.now() - begunAt) * 1_000);
      if (pauseMs > 0) await delay(pauseMs);
    }
    return tookUs;
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** Null: what is written there never reaches a disk. */
export function fileSystemOf(folder: string): string | null {
  if (MEMORY_FILE_SYSTEMS.has(statfsSync(folder).type)) return null;
  const mounts = readFileSync("/proc/mounts", "utf8").trimEnd().split("\n");
  const places = mounts.map((line) => {
    const [device = "", at = "", type = ""] = line.split(" ");
    return { device, at, type };
  });
  const under = places.filter(({ at }) => `${folder}/`.startsWith(at.endsWith("/") ? at : `${at}/`));
  const nearest = under.toSorted((left, right) => right.at.length - left.at.length)[0];
  return nearest === undefined ? "unknown" : `${nearest.type} on ${nearest.device}`;
}
