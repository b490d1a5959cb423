// Small disk: a file system of its own for a test, whose writes really fail from a moment on: because it is full (ENOSPC at the write),
// or because the device below it fails (EIO at the sync: ext2 on a loop device, whose image lies on a disk that is full).

import { execFileSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";

export type DiskFault = "full" | "failing";

export interface SmallDisk {
  readonly folder: string;
  /** From now on nothing more can be written. */
  fail(): void;
  heal(): void;
  /** Takes it away and brings it back: what was never on the device is gone. */
  remount(): void;
  remove(): void;
}

const BALLAST = "ballast";
/** A page of tmpfs. */
const BLOCK_BYTES = 4_096;
/** More than the disk below has room for. */
const IMAGE_BYTES = 8 * 1_024 * 1_024;

/** Null: this user may not mount, or there are no loop devices. Else under CI root must be able to: a throw. `at`: an empty folder. */
export function smallDisk(at: string, fault: DiskFault): SmallDisk | null {
  const below = join(at, "tmpfs");
  if (fault === "failing" && !existsSync("/dev/loop-control")) return null;
  try {
    mkdirSync(below);
    mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", below);
  } catch (error) {
    if (process.env["CI"] === "true" && process.getuid?.() === 0) throw error;
    return null;
  }
  const ballast = join(below, BALLAST);
  const common = { fail: () => fill(ballast), heal: () => rmSync(ballast) };
  const unmount = (): void => void execFileSync("umount", [below]);
  if (fault === "full") return { ...common, folder: below, remount: () => undefined, remove: unmount };
  const image = join(below, "image");
  const folder = join(at, "ext2");
  mkdirSync(folder);
  // Sparse, and of blocks that are pages below: what is written to it needs room there.
  writeFileSync(image, "");
  truncateSync(image, IMAGE_BYTES);
  execFileSync("mkfs.ext2", ["-q", "-b", String(BLOCK_BYTES), image]);
  const mountImage = (): void => mount("-o", "loop", image, folder);
  const unmountImage = (): void => void execFileSync("umount", [folder]);
  mountImage();
  return {
    folder,
    fail: () => {
      fill(ballast);
      useUp(join(folder, BALLAST));
    },
    heal: common.heal,
    remount: () => {
      unmountImage();
      mountImage();
    },
    remove: () => {
      unmountImage();
      unmount();
    },
  };
}

function mount(...args: string[]): void {
  execFileSync("mount", args, { stdio: "pipe" });
}

/** What has room below already, of files that are gone, is written to: then every new block fails. */
function useUp(file: string): void {
  const opened = openSync(file, "a");
  try {
    for (;;) {
      writeSync(opened, new Uint8Array(BLOCK_BYTES));
      fsyncSync(opened);
    }
  } catch {
    // The device fails now.
  } finally {
    closeSync(opened);
  }
}

/** Until the system says that it is full. */
function fill(ballast: string): void {
  for (let bytes = 1_024 * 1_024; bytes >= 1; ) {
    try {
      writeFileSync(ballast, new Uint8Array(bytes), { flag: "a" });
    } catch {
      bytes = Math.floor(bytes / 2);
    }
  }
}
