// Image: the one of docker/, built of this source. What is built is kept: the next build finds it and takes a second.

import { fileURLToPath } from "node:url";
import { startCommand } from "../command.ts";

const BUILD_IMAGE = fileURLToPath(new URL("../../../docker/build-image", import.meta.url));

/** Resolves with its id, not its name: another checkout may build under the same name meanwhile. */
export async function buildImage(signal?: AbortSignal): Promise<string> {
  signal?.throwIfAborted();
  const build = startCommand(BUILD_IMAGE, [], { input: "", ownGroup: true });
  const { pid } = build.process;
  // All of its group: the script, and the build that it waits for.
  const end = (): void => void (pid === undefined || process.kill(-pid));
  signal?.addEventListener("abort", end);
  const { code, stdout, stderr } = await build.result;
  signal?.removeEventListener("abort", end);
  signal?.throwIfAborted();
  if (code !== 0) throw new Error(`docker/build-image: exit code ${code}\n${stderr}`);
  return stdout.trim();
}
