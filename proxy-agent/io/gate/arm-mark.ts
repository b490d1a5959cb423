// Arm mark: is the process of an arm there? The kernel says so, not a clock: an arm listens on a socket of the file system from before
// it gets its first right until it ends, and nobody can be connected to a socket of a process that is gone. One that is stopped takes
// connections as any other.

import { readdir, readFile, rm } from "node:fs/promises";
import { connect } from "node:net";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { ownerOfMark } from "../../core/arm-messages.ts";
import { ARM_LOOK_MS } from "../../limits.ts";

/** Marks of processes that may be there: as the folder has them, and as the kernel has those whose file somebody took away. */
export async function marksIn(folder: string): Promise<readonly string[]> {
  const named = (await readdir(folder)).filter((name) => ownerOfMark(name) !== null);
  return [...new Set([...named, ...((await marksOfKernel(folder)) ?? [])])];
}

/** Resolves when the process of that mark is gone, or on abort. What it leaves in the folder is removed. */
export async function untilGone(folder: string, mark: string, signal: AbortSignal): Promise<void> {
  const file = path.join(folder, mark);
  let before = "";
  while (!signal.aborted) {
    const end = await holdOn(file, signal);
    if (end === "gone") {
      await rm(file, { force: true });
      return;
    }
    // Of a system that has no such list nothing follows.
    if (end === "no-file" && (await marksOfKernel(folder))?.includes(mark) === false) return;
    // A process that ends has ended when it is asked at once; one that takes and closes each connection is not asked without end.
    if (end !== "ended" || before === end)
      await delay(ARM_LOOK_MS, undefined, { signal }).catch(() => undefined);
    before = end;
  }
}

/** Whether somebody can be connected to by that mark. */
export async function isThere(folder: string, mark: string): Promise<boolean> {
  const socket = connect(path.join(folder, mark));
  const { promise, resolve } = Promise.withResolvers<boolean>();
  socket.once("connect", () => resolve(true));
  socket.once("error", () => resolve(false));
  const found = await promise;
  socket.destroy();
  return found;
}

/**
 * - `ended`: it stood and is over, which a process without a free descriptor can do too: whoever asks again learns which.
 * - `gone`: nobody listens there.
 * - `no-file`: the way to it was taken away. `unknown`: it cannot be said now.
 */
function holdOn(file: string, signal: AbortSignal): Promise<"ended" | "gone" | "no-file" | "unknown"> {
  const { promise, resolve } = Promise.withResolvers<"ended" | "gone" | "no-file" | "unknown">();
  const socket = connect(file);
  const abort = () => socket.destroy();
  signal.addEventListener("abort", abort, { once: true });
  let isConnected = false;
  let code: string | undefined;
  socket.once("connect", () => {
    isConnected = true;
  });
  socket.on("error", (error: NodeJS.ErrnoException) => {
    code = error.code;
  });
  socket.resume();
  socket.once("close", () => {
    signal.removeEventListener("abort", abort);
    if (isConnected) resolve("ended");
    else resolve(code === "ECONNREFUSED" ? "gone" : code === "ENOENT" ? "no-file" : "unknown");
  });
  return promise;
}

/** Bound sockets of this folder, those too whose file is not there any more. Null: the system has no such list. */
async function marksOfKernel(folder: string): Promise<readonly string[] | null> {
  // The kernel gives the list in pieces: what is there all the time could slip through between two of them, not twice at the same place.
  const [first, second] = [await readKernelList(folder), await readKernelList(folder)];
  return first === null || second === null ? null : [...new Set([...first, ...second])];
}

async function readKernelList(folder: string): Promise<readonly string[] | null> {
  const text = await readFile("/proc/net/unix", "utf8").catch(() => null);
  if (text === null) return null;
  return text.split("\n").flatMap((line) => {
    const at = line.indexOf(`${folder}/`);
    const name = at === -1 ? "" : line.slice(at + folder.length + 1);
    return ownerOfMark(name) === null ? [] : [name];
  });
}
