// Image: the one of docker/, built of this source. What is built is kept: the next build finds it and takes a second.

import type { ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { startCommand } from "../command.ts";

const BUILD_IMAGE = fileURLToPath(new URL("../../../docker/build-image", import.meta.url));

/** Resolves with its id, not its name: another checkout may build under the same name meanwhile. */
export async function buildImage(signal?: AbortSignal): Promise<string> {
  signal?.throwIfAborted();
  const build = startCommand(BUILD_IMAGE, [], { input: "", ownGroup: true });
  const end = (): void => endGroup(build.process);
  signal?.addEventListener("abort", end);
  const { code, stdout, stderr } = await build.result;
  signal?.removeEventListener("abort", end);
  signal?.throwIfAborted();
  if (code !== 0) throw new Error(`docker/build-image: exit code ${code}\n${stderr}`);
  return stdout.trim();
}

/** The script, and the build that it waits for. */
function endGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid);
  } catch {
    // It has just ended.
  }
}
